export function installPackages(root: string, say: (text: string) => void): void;
export function missingPackage(root: string): string | null;
export function nodePath(root: string): string;

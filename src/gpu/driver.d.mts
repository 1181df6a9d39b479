type Environment = Readonly<Record<string, string | undefined>>;

export const SOFTWARE_DRIVERS: readonly string[];
export function cacheFolder(env?: Environment): string | null;
export function environmentOf(name: string, env?: Environment): Record<string, string> | null;
export function driverEnvironment(env?: Environment): Record<string, string> | null;
export function icdFile(root: string): string | null;
export function libraryFolders(root: string): string[];

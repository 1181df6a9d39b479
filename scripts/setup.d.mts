export type Adapter = { readonly name: string; readonly software: boolean };
export type Choice = { readonly adapter: Adapter; readonly variables: Record<string, string> };
export type Options = { readonly download?: boolean };

export function chooseDriver(node: string, say: (text: string) => void, options?: Options): Choice;

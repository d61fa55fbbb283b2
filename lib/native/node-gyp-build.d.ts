declare module 'node-gyp-build' {
  /** The path of the binary for this platform: build/Release of `directory`, else its prebuilds. Throws when there is none. */
  export function resolve(directory: string): string;
}

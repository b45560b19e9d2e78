// What of Node 26's experimental FFI node.ts uses.
declare module "node:ffi" {
  type Signature = { arguments: readonly string[]; return: string };
  interface Ffi {
    dlopen(
      path: string,
      symbols: Record<string, Signature>,
    ): {
      functions: Record<string, (...args: readonly unknown[]) => number | bigint>;
    };
    getInt32(pointer: bigint, offset: number): number;
  }
  const ffi: Ffi;
  export default ffi;
}

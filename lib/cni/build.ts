// What the build says about itself. Source run as it is, in tests, is "development".
declare const WEFT_VERSION: string;
declare const WEFT_BUILD_ID: string;
declare const WEFT_ARCHITECTURE: string;

/** "0.1.0" */
export const version: string = typeof WEFT_VERSION === "undefined" ? "0.0.0-development" : WEFT_VERSION;

/** Names the sources an executable was made from; every executable ends with it (see delegate.ts). */
export const buildId: string = typeof WEFT_BUILD_ID === "undefined" ? "development" : WEFT_BUILD_ID;

/** "amd64" or "arm64", as Go names them. */
export const architecture: string = typeof WEFT_ARCHITECTURE === "undefined" ? "unknown" : WEFT_ARCHITECTURE;

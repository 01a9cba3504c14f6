// Inputs that once broke a decoder: `regressions/<target>-<hash>.hex`, kept for ever.

/** Where they lie. */
export const regressionsFolder = new URL("./regressions/", import.meta.url);

/** The bytes of a file of hex digits. */
export function regressionBytes(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text.replaceAll(/\s/g, ""), "hex"));
}

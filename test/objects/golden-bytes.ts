// Golden bytes of formats: hex files beside the tests, one per format version. UPDATE_GOLDEN=1 rewrites them, which is
// refused with CI=true: a changed format is a decision, not a side effect.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { expect } from "vitest";

const folder = new URL("./golden/", import.meta.url);

/** The bytes of `golden/<name>.hex`. With UPDATE_GOLDEN=1 the file becomes `bytes` first. */
export function golden(name: string, bytes: Uint8Array): Uint8Array {
  const file = new URL(`${name}.hex`, folder);
  if (process.env["UPDATE_GOLDEN"] === "1") {
    expect(process.env["CI"], "golden files are not rewritten with CI=true").not.toBe("true");
    writeFileSync(file, toHexLines(bytes));
  }
  expect(existsSync(file), `${name}.hex exists`).toBe(true);
  return new Uint8Array(Buffer.from(readFileSync(file, "utf8").replaceAll(/\s/g, ""), "hex"));
}

/** The bytes of `golden/<name>.hex`, of a version that is read and not written any more: never rewritten. */
export function oldGolden(name: string): Uint8Array {
  const file = new URL(`${name}.hex`, folder);
  return new Uint8Array(Buffer.from(readFileSync(file, "utf8").replaceAll(/\s/g, ""), "hex"));
}

/** Parts as one array. */
export function joined(parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

/** Every truncation and every single flipped bit of `bytes`, with a name for the message. */
export function* damaged(bytes: Uint8Array): Iterable<{ readonly name: string; readonly bytes: Uint8Array }> {
  for (let length = 0; length < bytes.length; length += 1) {
    yield { name: `cut to ${length} bytes`, bytes: bytes.slice(0, length) };
    if (length > 0) yield { name: `cut in front by ${length} bytes`, bytes: bytes.slice(length) };
  }
  for (let bit = 0; bit < bytes.length * 8; bit += 1) {
    const flipped = bytes.slice();
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    yield { name: `bit ${bit & 7} of byte ${bit >> 3} flipped`, bytes: flipped };
  }
}

function toHexLines(bytes: Uint8Array): string {
  const hex = Buffer.from(bytes).toString("hex");
  return `${(hex.match(/.{1,64}/g) ?? []).join("\n")}\n`;
}

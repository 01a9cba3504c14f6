import * as fc from "fast-check";
import { expect, it } from "vitest";
import { decodeUtf8, StringCache } from "../../src/wire/string-cache.ts";

it("gives for any bytes what a fresh decode gives, however often slots are taken over", () => {
  const cache = new StringCache();
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 48 }), (bytes) => {
      const fresh = decodeUtf8(bytes, 0, bytes.length);
      expect(cache.text(bytes, 0, bytes.length)).toBe(fresh);
      expect(cache.text(bytes, 0, bytes.length)).toBe(fresh);
    }),
    { numRuns: 5000 },
  );
});

it("does not follow the frame it first saw a name in", () => {
  const cache = new StringCache();
  const frame = Buffer.from("orders");
  expect(cache.text(frame, 0, 6)).toBe("orders");
  frame.write("ORDERS");
  expect(cache.text(Buffer.from("orders"), 0, 6)).toBe("orders");
  expect(cache.text(frame, 0, 6)).toBe("ORDERS");
});

import { expect, it } from "vitest";
import { DecodeError } from "../../src/wire/decode-error.ts";

it("says where the bytes break their format", () => {
  const error = new DecodeError("a length of -7 is negative", 12, { cause: "test" });
  expect([error.name, error.message, error.position, error.cause]).toEqual([
    "DecodeError",
    "a length of -7 is negative (at byte 12)",
    12,
    "test",
  ]);
});

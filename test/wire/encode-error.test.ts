import { expect, it } from "vitest";
import { EncodeError, notInVersion, notNullable } from "../../src/wire/encode-error.ts";

it("names the field and the versions that cannot carry it", () => {
  expect(notInVersion("A.B", "0-2")).toBeInstanceOf(EncodeError);
  expect(notInVersion("A.B", "0-2").message).toBe("A.B is set, but version 0-2 has no such field");
  expect(notNullable("A.B", "3").message).toBe("A.B is null, but is not nullable in version 3");
});

// Who reads of damage has to find the object.
import { expect, it } from "vitest";
import { decodeObject, FormatError } from "../../src/objects/format-error.ts";
import { decodeWalTrailer } from "../../src/objects/wal-object.ts";

it("names the object whose bytes are damaged, and keeps what was found", () => {
  const damaged = () => decodeObject("team/wal/s/000000000007", () => decodeWalTrailer(new Uint8Array(40), 40));
  expect(damaged).toThrow(FormatError);
  expect(damaged).toThrow(/^team\/wal\/s\/000000000007: .*wal footer/);
});

it("lets every other failure pass as it is", () => {
  const bug = new TypeError("a bug");
  const decode = () => {
    throw bug;
  };
  expect(() => decodeObject("key", decode)).toThrow(bug);
});

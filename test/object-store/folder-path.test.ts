// Names of objects in a folder: no two keys share a path, none leaves the folder, and each comes back from its path.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseName, pathOf } from "../../src/object-store/folder-path.ts";
import { isObjectKey } from "../../src/object-store/object-key.ts";

const characters = "ABCZabcz019._~-".split("");
const anyKey = fc
  .array(fc.array(fc.constantFrom(...characters), { minLength: 1, maxLength: 8 }), { minLength: 1, maxLength: 4 })
  .map((parts) => parts.map((part) => part.join("")).join("/"))
  .filter(isObjectKey);

describe.each(["plain", "folded"] as const)("%s names", (style) => {
  it("give each key a path of its own, and the key back from it", () => {
    fc.assert(
      fc.property(fc.array(anyKey, { minLength: 1, maxLength: 50 }), (keys) => {
        const paths = new Set(keys.map((key) => pathOf(key, style)));
        expect(paths.size).toBe(new Set(keys).size);
        for (const key of keys) {
          const names = pathOf(key, style).split("/");
          const parsed = names.map((name) => parseName(name, style));
          expect(parsed.map((one) => one?.part).join("/")).toBe(key);
          expect(parsed.map((one) => one?.isFolder)).toEqual(names.map((_, index) => index < names.length - 1));
        }
      }),
    );
  });

  it("never leave the folder nor meet a name of the store's own", () => {
    fc.assert(
      fc.property(anyKey, (key) => {
        for (const name of pathOf(key, style).split("/")) {
          expect([".", "..", ""]).not.toContain(name);
          expect(name.startsWith("+")).toBe(false);
        }
      }),
    );
  });

  it("are recognised only as they are written", () => {
    for (const name of ["+new", "+format", "+lock", "+", "", "a b", "lost+found"])
      expect(parseName(name, style)).toBeUndefined();
  });
});

it("differ by more than case when folded", () => {
  fc.assert(
    fc.property(fc.array(anyKey, { minLength: 2, maxLength: 50 }), (keys) => {
      const paths = keys.map((key) => pathOf(key, "folded"));
      expect(paths).toEqual(paths.map((path) => path.toLowerCase()));
    }),
  );
  expect(pathOf("Orders/aBC", "folded")).toBe("^o^rders+/a^bc");
});

// A section by itself: what was put in comes out, and damage is refused.
import { describe, expect, it } from "vitest";
import { decodeSection, encodeSection } from "../../src/objects/checkpoint-section.ts";
import { FormatError } from "../../src/objects/format-error.ts";
import { exampleSection } from "./checkpoint-examples.ts";
import { damaged } from "./golden-bytes.ts";

describe("section", () => {
  it("decodes to what was encoded, with and without stored lists", () => {
    const stored = { k: 3, position: 17, length: 900, upTo: 44 };
    for (const section of [exampleSection({}), exampleSection({ pending: stored, fold: stored })]) {
      expect(decodeSection(encodeSection(section))).toEqual(section);
    }
  });

  it("refuses every truncation and every flipped bit", () => {
    const bytes = encodeSection(exampleSection({}));
    let count = 0;
    for (const damage of damaged(bytes)) {
      expect(() => decodeSection(damage.bytes), damage.name).toThrow(FormatError);
      count += 1;
    }
    expect(count).toBe(bytes.length * 10 - 1);
  });

  it("refuses a log start past the log end", () => {
    const section = exampleSection({});
    const partitions = section.partitions.map((partition) => ({ ...partition, logStart: 152 }));
    expect(() => decodeSection(encodeSection({ ...section, partitions }))).toThrow(/checkpoint section: log start 152/);
  });
});

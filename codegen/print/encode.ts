// Bodies of encode functions: straight-line code for one layout of one struct. What the layout has no place for is
// refused, unless the schema lets it be dropped.
import type { EncodingPlan, LayoutPlan, PlannedType, PropertyPlan, StructPlan } from "../plan.ts";
import { sized } from "./decode.ts";
import { isSetText } from "./names.ts";

/** The statements of the function that encodes `message` in `layout` to `writer`. */
export function encodeBody(_struct: StructPlan, layout: LayoutPlan): string {
  const lines = layout.refused.map((property) => refuseSet(property, layout));
  lines.push(...layout.fields.flatMap((field) => encodeField(field, layout, "  ")));
  lines.push(...encodeTags(layout));
  return lines.join("\n");
}

function refuseSet(property: PropertyPlan, layout: LayoutPlan): string {
  return `  if (${isSetText(property)}) throw notInVersion("${property.field}", "${layout.versions}");`;
}

function encodeField(field: EncodingPlan, layout: LayoutPlan, indent: string): string[] {
  const value = `message.${field.property.property}`;
  const lines: string[] = [];
  if (field.property.canBeNull && !field.isNullable) {
    lines.push(`${indent}if (${value} === null) throw notNullable("${field.property.field}", "${layout.versions}");`);
  }
  const { type } = field.property;
  if (type.kind === "array") return [...lines, ...encodeArray(field, value, indent)];
  if (type.kind === "struct") return [...lines, ...encodeStruct(field, value, indent)];
  return [...lines, `${indent}${primitiveCall(type, value, field.isFlexible, field.isNullable)};`];
}

function encodeStruct(field: EncodingPlan, value: string, indent: string): string[] {
  const encode = `encode${field.structLayout}(writer, ${value});`;
  const isTagged = field.tag !== undefined;
  if (!field.isNullable) return [`${indent}${encode}`];
  const method = isTagged ? "uvarint" : "int8";
  return [
    `${indent}if (${value} === null) {`,
    `${indent}  writer.${method}(${isTagged ? 0 : -1});`,
    `${indent}} else {`,
    `${indent}  writer.${method}(1);`,
    `${indent}  ${encode}`,
    `${indent}}`,
  ];
}

function encodeArray(field: EncodingPlan, value: string, indent: string): string[] {
  const { type } = field.property;
  if (type.kind !== "array") return [];
  const count = field.isFlexible ? "compactArrayCount" : "arrayCount";
  const call =
    type.element.kind === "struct"
      ? `encode${field.structLayout}(writer, element)`
      : primitiveCall(type.element, "element", field.isFlexible, false);
  const write = (inner: string): string[] => [
    `${inner}writer.${count}(${value}.length);`,
    `${inner}for (const element of ${value}) ${call};`,
  ];
  if (!field.isNullable) return write(indent);
  return [
    `${indent}if (${value} === null) {`,
    `${indent}  writer.${count}(-1);`,
    `${indent}} else {`,
    ...write(`${indent}  `),
    `${indent}}`,
  ];
}

function primitiveCall(type: PlannedType, value: string, isFlexible: boolean, isNullable: boolean): string {
  if (type.kind !== "primitive") throw new Error("not a primitive type");
  switch (type.name) {
    case "string":
      return `writer.${sized("String", "string", isFlexible, isNullable)}(${value})`;
    case "bytes":
      return `writer.${sized("Bytes", "bytes", isFlexible, isNullable)}(${value})`;
    case "records":
      return isFlexible ? `writer.compactRecords(${value})` : `writer.records(${value})`;
    case "int64":
      return type.isBig ? `writer.int64Big(${value})` : `writer.int64(${value})`;
    default:
      return `writer.${type.name}(${value})`;
  }
}

function encodeTags(layout: LayoutPlan): string[] {
  if (!layout.isFlexible) {
    return [`  if (message.unknownTags !== null) throw notInVersion("unknownTags", "${layout.versions}");`];
  }
  if (layout.tagged.length === 0) return ["  writer.unknownTags(message.unknownTags);"];
  const lines = layout.tagged.map((field) => `  const ${flagName(field)} = ${isSetText(field.property)};`);
  const known = layout.tagged.map((field) => `(${flagName(field)} ? 1 : 0)`).join(" + ");
  lines.push(`  writer.tagCount(${known}, message.unknownTags);`, "  let next = 0;");
  for (const field of layout.tagged) {
    lines.push(`  if (${flagName(field)}) {`);
    lines.push(`    next = writer.unknownTagsBelow(message.unknownTags, next, ${field.tag});`);
    lines.push(`    const mark = writer.openTag(${field.tag});`);
    lines.push(...encodeField(field, layout, "    "), "    writer.closeTag(mark);", "  }");
  }
  lines.push("  writer.unknownTagsFrom(message.unknownTags, next);");
  return lines;
}

function flagName(field: EncodingPlan): string {
  const { property } = field.property;
  return `has${property.charAt(0).toUpperCase()}${property.slice(1)}`;
}

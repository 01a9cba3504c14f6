// Bodies of decode functions: straight-line code, one statement or loop a field, for one layout of one struct.
import type { EncodingPlan, LayoutPlan, PlannedType, StructPlan } from "../plan.ts";
import { countName, defaultText, innerTypeText, localName, typeText, wrapped } from "./names.ts";

/** The statements of the function that decodes `struct` in `layout` from `reader`. */
export function decodeBody(struct: StructPlan, layout: LayoutPlan): string {
  const lines = layout.fields.flatMap((field) => decodeField(field, struct, "  ", "const"));
  if (layout.isFlexible) lines.push(...decodeTags(struct, layout));
  const encoded = new Set([...layout.fields, ...layout.tagged].map((field) => field.property.property));
  const parts = struct.properties.map((property) => {
    if (!encoded.has(property.property)) return `${property.property}: ${defaultText(property)}`;
    const local = localName(property);
    return local === property.property ? local : `${property.property}: ${local}`;
  });
  parts.push(layout.isFlexible ? "unknownTags" : "unknownTags: null");
  lines.push(wrapped("return {", parts, "};", "  "));
  return lines.join("\n");
}

function decodeField(field: EncodingPlan, struct: StructPlan, indent: string, binding: "const" | "assign"): string[] {
  const local = localName(field.property);
  const target = binding === "const" ? `const ${local}` : local;
  const type = field.property.type;
  if (type.kind === "array") return decodeArray(field, struct, indent, binding);
  if (type.kind === "struct") return [`${indent}${target} = ${structExpression(field)};`];
  const lines = [`${indent}${target} = ${primitiveExpression(type, field.isFlexible, field.isNullable)};`];
  if (type.name === "records" && !field.isNullable) lines.push(refuseNull(`${local} === null`, field, indent));
  return lines;
}

function structExpression(field: EncodingPlan): string {
  const decode = `decode${field.structLayout}(reader)`;
  if (!field.isNullable) return decode;
  // A tagged struct says by a uvarint whether it is there, an untagged one by an int8.
  return field.tag === undefined ? `reader.int8() < 0 ? null : ${decode}` : `reader.uvarint() <= 0 ? null : ${decode}`;
}

function decodeArray(field: EncodingPlan, struct: StructPlan, indent: string, binding: "const" | "assign"): string[] {
  const local = localName(field.property);
  const count = countName(field.property, struct);
  const type = field.property.type;
  if (type.kind !== "array") return [];
  const element = innerTypeText(type.element);
  const read = field.isFlexible ? "compactArrayCount" : "arrayCount";
  const value =
    type.element.kind === "struct"
      ? `decode${field.structLayout}(reader)`
      : primitiveExpression(type.element, field.isFlexible, false);
  const lines = [`${indent}const ${count} = reader.${read}(${field.elementBytesMin});`];
  if (field.isNullable) {
    const declared = binding === "const" ? `const ${local}` : local;
    lines.push(`${indent}${declared} = ${count} < 0 ? null : newArray<${element}>(${count});`);
    lines.push(`${indent}if (${local} !== null) {`, fillLoop(local, count, value, `${indent}  `), `${indent}}`);
    return lines;
  }
  lines.push(refuseNull(`${count} < 0`, field, indent));
  if (binding === "const") {
    lines.push(`${indent}const ${local} = newArray<${element}>(${count});`, fillLoop(local, count, value, indent));
    return lines;
  }
  // The variable of a tagged field is a readonly array (it may be the default), so a new one is filled beside it.
  const filled = `${local}Decoded`;
  lines.push(`${indent}const ${filled} = newArray<${element}>(${count});`, fillLoop(filled, count, value, indent));
  lines.push(`${indent}${local} = ${filled};`);
  return lines;
}

function fillLoop(local: string, count: string, value: string, indent: string): string {
  return `${indent}for (let at = 0; at < ${count}; at += 1) ${local}[at] = ${value};`;
}

function refuseNull(condition: string, field: EncodingPlan, indent: string): string {
  return `${indent}if (${condition}) throw reader.unexpectedNull("${field.property.field}");`;
}

function primitiveExpression(type: PlannedType, isFlexible: boolean, isNullable: boolean): string {
  if (type.kind !== "primitive") throw new Error("not a primitive type");
  switch (type.name) {
    case "string":
      return `reader.${sized("String", "string", isFlexible, isNullable)}()`;
    case "bytes":
      return `reader.${sized("Bytes", "bytes", isFlexible, isNullable)}()`;
    case "records":
      return isFlexible ? "reader.compactRecords()" : "reader.records()";
    case "int64":
      return type.isBig ? "reader.int64Big()" : "reader.int64()";
    default:
      return `reader.${type.name}()`;
  }
}

/** Name of the reader's or writer's method for a type with a length. */
export function sized(capital: string, plain: string, isFlexible: boolean, isNullable: boolean): string {
  if (isFlexible) return isNullable ? `compactNullable${capital}` : `compact${capital}`;
  return isNullable ? `nullable${capital}` : plain;
}

function decodeTags(struct: StructPlan, layout: LayoutPlan): string[] {
  if (layout.tagged.length + layout.foreignTags.length === 0) return ["  const unknownTags = reader.unknownTags();"];
  const lines = layout.tagged.map(
    (field) => `  let ${localName(field.property)}: ${typeText(field.property)} = ${defaultText(field.property)};`,
  );
  lines.push("  let unknownTags: UnknownTag[] | null = null;");
  lines.push("  for (let tagsLeft = reader.uvarint(); tagsLeft > 0; tagsLeft -= 1) {");
  lines.push("    const tag = reader.uvarint();", "    switch (tag) {");
  for (const field of layout.tagged) {
    // The size is not needed for a field that is known, and like Kafka's readers we do not compare it.
    lines.push(`      case ${field.tag}: {`, "        reader.uvarint();");
    lines.push(...decodeTagged(field, struct), "        break;", "      }");
  }
  for (const tag of layout.foreignTags) lines.push(`      case ${tag}:`);
  if (layout.foreignTags.length > 0) lines.push(`        throw reader.foreignTag("${struct.name}", tag);`);
  lines.push("      default:", "        unknownTags = reader.unknownTag(tag, unknownTags);", "    }", "  }");
  return lines;
}

function decodeTagged(field: EncodingPlan, struct: StructPlan): string[] {
  const type = field.property.type;
  if (type.kind === "array" && field.isNullable) {
    const decoded = `${localName(field.property)}Decoded`;
    const lines = decodeArray(field, struct, "        ", "const").map((line) =>
      line.replaceAll(new RegExp(`\\b${localName(field.property)}\\b`, "g"), decoded),
    );
    return [...lines, `        ${localName(field.property)} = ${decoded};`];
  }
  return decodeField(field, struct, "        ", "assign");
}

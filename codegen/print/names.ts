// How the generated code spells names, types and values.
import type { PlannedType, PropertyPlan, StructPlan } from "../plan.ts";

// Names the bodies of generated functions use for themselves, and words TypeScript keeps.
const TAKEN = new Set(
  "reader writer message unknownTags unknownTagsLeft at tag tagsLeft mark known version next fields default new delete enum package interface class function import export null true false".split(
    " ",
  ),
);

/** The local variable that holds a property. */
export function localName(property: PropertyPlan): string {
  return TAKEN.has(property.property) ? `${property.property}Value` : property.property;
}

/** The local variable that holds the count of an array. */
export function countName(property: PropertyPlan, struct: StructPlan): string {
  const name = `${property.property}Count`;
  return struct.properties.some((other) => other.property === name) ? `${property.property}ElementCount` : name;
}

/** First letter in lower case. */
export function lowerFirst(name: string): string {
  return name.charAt(0).toLowerCase() + name.slice(1);
}

/** The TypeScript type of a property. */
export function typeText(property: PropertyPlan): string {
  const type = innerTypeText(property.type);
  return property.canBeNull ? `${type} | null` : type;
}

/** The TypeScript type without null. */
export function innerTypeText(type: PlannedType): string {
  if (type.kind === "array") return `readonly ${innerTypeText(type.element)}[]`;
  return type.kind === "struct" ? type.name : primitiveText(type.name, type.isBig);
}

function primitiveText(name: string, isBig: boolean): string {
  switch (name) {
    case "bool":
      return "boolean";
    case "string":
    case "uuid":
      return "string";
    case "bytes":
      return "Uint8Array";
    case "records":
      return "readonly Uint8Array[]";
    default:
      return isBig ? "bigint" : "number";
  }
}

/** The expression of a property's default. */
export function defaultText(property: PropertyPlan): string {
  const value = property.default;
  switch (value.kind) {
    case "null":
      return "null";
    case "bool":
    case "float":
      return String(value.value);
    case "integer":
      return property.type.kind === "primitive" && property.type.isBig ? `${value.value}n` : String(value.value);
    case "string":
      return JSON.stringify(value.value);
    case "uuid":
      return value.value === "AAAAAAAAAAAAAAAAAAAAAA" ? "ZERO_UUID" : JSON.stringify(value.value);
    case "empty":
      return property.type.kind === "array" ? "[]" : "EMPTY_BYTES";
    case "struct":
      return `default${innerTypeText(property.type)}`;
    default:
      return value satisfies never;
  }
}

/** The condition under which a property holds something else than its default. */
export function isSetText(property: PropertyPlan): string {
  const value = `message.${property.property}`;
  const orNull = property.canBeNull ? `${value} === null || ` : "";
  const { kind } = property.default;
  if (kind === "empty") return `${orNull}${value}.length > 0`;
  if (kind === "struct") return `${orNull}!isDefault${innerTypeText(property.type)}(${value})`;
  if (kind === "bool") return property.default.value ? `!${value}` : value;
  return `${value} !== ${defaultText(property)}`;
}

/** An object literal's or call's parts, on one line if they fit there. */
export function wrapped(before: string, parts: readonly string[], after: string, indent: string): string {
  const line = `${indent}${before} ${parts.join(", ")} ${after}`;
  if (line.length <= 120) return line;
  return `${indent}${before}\n${parts.map((part) => `${indent}  ${part},`).join("\n")}\n${indent}${after}`;
}

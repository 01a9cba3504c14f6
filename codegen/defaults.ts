// The default of a field: the schema's, in any of its notations, or the type's own.
// Refuses a default that its type cannot hold.
import { type FieldSpec, type PrimitiveName, SchemaError } from "./message-spec.ts";
import { contains } from "./versions.ts";

/** What a field holds where the bytes do not say. */
export type DefaultValue =
  | { readonly kind: "null" }
  | { readonly kind: "bool"; readonly value: boolean }
  | { readonly kind: "integer"; readonly value: bigint }
  | { readonly kind: "float"; readonly value: number }
  | { readonly kind: "string"; readonly value: string }
  | { readonly kind: "uuid"; readonly value: string }
  /** No bytes, or no elements. */
  | { readonly kind: "empty" }
  /** The struct with all its fields at their defaults. */
  | { readonly kind: "struct" };

const INTEGER_BITS: Readonly<Partial<Record<PrimitiveName, readonly [bits: number, isSigned: boolean]>>> = {
  int8: [8, true],
  int16: [16, true],
  uint16: [16, false],
  int32: [32, true],
  uint32: [32, false],
  int64: [64, true],
};

/** The 22 characters of the zero uuid. */
export const ZERO_UUID_TEXT = "AAAAAAAAAAAAAAAAAAAAAA";

/** The default of `field`. Throws SchemaError, at `place`, if the schema's default does not fit the type. */
export function defaultOf(field: FieldSpec, place: string): DefaultValue {
  if (field.default === "null") return nullDefault(field, place);
  if (field.type.kind === "primitive") return primitiveDefault(field.type.name, field.default, place);
  if (field.default !== undefined && field.default !== "") {
    throw new SchemaError(place, `default ${JSON.stringify(field.default)}: an array or struct has none but "null"`);
  }
  return { kind: field.type.kind === "array" ? "empty" : "struct" };
}

function nullDefault(field: FieldSpec, place: string): DefaultValue {
  if (!contains(field.nullable, field.versions)) {
    throw new SchemaError(place, "the default is null, but not every version of the field is nullable");
  }
  return { kind: "null" };
}

function primitiveDefault(type: PrimitiveName, text: string | undefined, place: string): DefaultValue {
  switch (type) {
    case "bool":
      return { kind: "bool", value: parseBool(text, place) };
    case "float64":
      return { kind: "float", value: parseFloat64(text, place) };
    case "string":
      return { kind: "string", value: text ?? "" };
    case "uuid":
      return { kind: "uuid", value: parseUuid(text, place) };
    case "bytes":
    case "records":
      if (text !== undefined && text !== "") throw new SchemaError(place, `default ${JSON.stringify(text)} of ${type}`);
      return { kind: type === "bytes" ? "empty" : "null" };
    case "int8":
    case "int16":
    case "uint16":
    case "int32":
    case "uint32":
    case "int64":
      return { kind: "integer", value: parseInteger(type, text, place) };
    default:
      return type satisfies never;
  }
}

function parseBool(text: string | undefined, place: string): boolean {
  if (text === undefined || text === "" || text === "false") return false;
  if (text === "true") return true;
  throw new SchemaError(place, `default ${JSON.stringify(text)} is not a bool`);
}

function parseFloat64(text: string | undefined, place: string): number {
  if (text === undefined || text === "") return 0;
  const value = Number(text);
  if (!Number.isFinite(value)) throw new SchemaError(place, `default ${JSON.stringify(text)} is not a number`);
  return value;
}

function parseUuid(text: string | undefined, place: string): string {
  if (text === undefined || text === "") return ZERO_UUID_TEXT;
  if (!/^[A-Za-z0-9_-]{22}$/.test(text)) throw new SchemaError(place, `default ${JSON.stringify(text)} is not a uuid`);
  return text;
}

/** Decimal, hexadecimal after 0x, octal after 0; each may be negative. */
function parseInteger(type: PrimitiveName, text: string | undefined, place: string): bigint {
  if (text === undefined || text === "") return 0n;
  const match = /^(-?)(?:0[xX]([0-9a-fA-F]+)|0([0-7]+)|(0|[1-9]\d*))$/.exec(text);
  const [bits, isSigned] = INTEGER_BITS[type] ?? [0, true];
  if (match === null || bits === 0) throw new SchemaError(place, `default ${JSON.stringify(text)} is not an ${type}`);
  const [, sign, hex, octal, decimal] = match;
  const digits = hex === undefined ? (octal === undefined ? (decimal ?? "0") : `0o${octal}`) : `0x${hex}`;
  const value = sign === "-" ? -BigInt(digits) : BigInt(digits);
  const fitted = isSigned ? BigInt.asIntN(bits, value) : BigInt.asUintN(bits, value);
  if (fitted !== value) throw new SchemaError(place, `default ${text} does not fit ${type}`);
  return value;
}

// A message as the JSON that Kafka's converters write, made by walking the schema and not the generated code, and the
// account of which fields of which versions have taken which values. Refuses nothing: differences are the test's.
import { type DefaultValue, defaultOf } from "../../codegen/defaults.ts";
import type { FieldSpec, MessageSpec, TypeSpec } from "../../codegen/message-spec.ts";
import { includes } from "../../codegen/versions.ts";

type Fields = Readonly<Record<string, unknown>>;

/** Which values each field of each version has taken: `Message v3 Topics.Name`, with ` null` for null. */
export class FieldCoverage {
  readonly #expected = new Set<string>();
  readonly #seen = new Set<string>();

  /** Notes what every field of `message` at `version` still has to take. */
  expect(message: MessageSpec, version: number): void {
    this.#expectFields(message.fields, `${message.name} v${version} `, version);
  }

  /** Notes that a field took a value that is not its default, or null. */
  see(path: string): void {
    this.#seen.add(path);
  }

  /** What has been expected and not been seen, in order. */
  missing(): string[] {
    return [...this.#expected].filter((path) => !this.#seen.has(path)).toSorted();
  }

  /** Number of (field, version) values expected. */
  get size(): number {
    return this.#expected.size;
  }

  #expectFields(fields: readonly FieldSpec[], prefix: string, version: number): void {
    for (const field of fields.filter((candidate) => includes(candidate.versions, version))) {
      const path = `${prefix}${field.name}`;
      this.#expected.add(path);
      if (includes(field.nullable, version)) this.#expected.add(`${path} null`);
      const struct = structOf(field.type);
      if (struct !== undefined) this.#expectFields(struct, `${path}.`, version);
    }
  }
}

/** The JSON of `value`, a message of `spec`, at `version`; what it holds is noted in `coverage`. */
export function toKafkaJson(spec: MessageSpec, value: unknown, version: number, coverage: FieldCoverage): unknown {
  return structJson(spec.fields, asFields(value), version, { coverage, path: `${spec.name} v${version} ` });
}

interface Walk {
  readonly coverage: FieldCoverage;
  readonly path: string;
}

function structJson(fields: readonly FieldSpec[], value: Fields, version: number, walk: Walk): Record<string, unknown> {
  const json: Record<string, unknown> = {};
  for (const field of fields.filter((candidate) => includes(candidate.versions, version))) {
    const property = propertyName(field);
    const held = value[property];
    const inner = { ...walk, path: `${walk.path}${field.name}` };
    const isDefault = isDefaultValue(field, held);
    if (held === null) walk.coverage.see(`${inner.path} null`);
    else if (!isDefault) walk.coverage.see(inner.path);
    const text = valueJson(field.type, held, version, { ...inner, path: `${inner.path}.` });
    // A converter leaves out a tagged field that has its default.
    if (!(includes(field.tagged, version) && isDefault)) json[property] = text;
  }
  return json;
}

function valueJson(type: TypeSpec, value: unknown, version: number, walk: Walk): unknown {
  if (value === null) return null;
  if (type.kind === "array") return asList(value).map((element) => valueJson(type.element, element, version, walk));
  if (type.kind === "struct") return structJson(type.fields, asFields(value), version, walk);
  if (type.name === "records") return Buffer.concat(asList(value).map(asBytes)).toString("base64");
  if (type.name === "bytes") return Buffer.from(asBytes(value)).toString("base64");
  return type.name === "float64" ? new Float64(Number(value)) : value;
}

/** A float64, which Kafka's converters take only with a point or an exponent. */
class Float64 {
  readonly value: number;

  constructor(value: number) {
    this.value = value;
  }

  toText(): string {
    const text = String(this.value);
    return /[.e]/.test(text) ? text : `${text}.0`;
  }
}

function isDefaultValue(field: FieldSpec, value: unknown): boolean {
  const expected = defaultOf(field, field.name);
  if (value === null || expected.kind === "null") return value === null && expected.kind === "null";
  if (field.type.kind === "primitive" && field.type.name === "records") return asList(value).length === 0;
  if (expected.kind === "empty") return value instanceof Uint8Array ? value.length === 0 : asList(value).length === 0;
  if (expected.kind !== "struct") return isSame(expected, value);
  const struct = asFields(value);
  const inner = structOf(field.type) ?? [];
  return struct["unknownTags"] === null && inner.every((part) => isDefaultValue(part, struct[propertyName(part)]));
}

function isSame(expected: DefaultValue, value: unknown): boolean {
  if (!("value" in expected)) return false;
  return expected.kind === "integer"
    ? value === expected.value || value === Number(expected.value)
    : value === expected.value;
}

/** The same message without its unknown tagged fields, of which JSON knows nothing. */
export function withoutUnknownTags(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutUnknownTags);
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return value;
  const entries = Object.entries(value).map(([key, inner]): [string, unknown] => [
    key,
    key === "unknownTags" ? null : withoutUnknownTags(inner),
  ]);
  return Object.fromEntries(entries);
}

/** JSON text in which int64 stay exact. */
export function exactJson(value: unknown): string {
  if (typeof value === "bigint") return value.toString();
  if (value instanceof Float64) return value.toText();
  if (Array.isArray(value)) return `[${value.map(exactJson).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  return `{${Object.entries(value)
    .map(([key, inner]) => `${JSON.stringify(key)}:${exactJson(inner)}`)
    .join(",")}}`;
}

/** A value of which two are equal exactly if the JSON texts mean the same; records are left to the bytes. */
export function comparable(text: string): unknown {
  // JSON.parse would round integers of 16 digits and more, so they become strings on both sides.
  const quoted = text.replaceAll(/(?<=[:[,])-?\d{16,}(?=[,}\]])/g, '"int $&"');
  return JSON.parse(quoted, (key, value: unknown) =>
    key === "records" || key === "recordsSizeInBytes" ? undefined : value,
  );
}

function propertyName(field: FieldSpec): string {
  return field.name.charAt(0).toLowerCase() + field.name.slice(1);
}

function structOf(type: TypeSpec): readonly FieldSpec[] | undefined {
  if (type.kind === "array") return structOf(type.element);
  return type.kind === "struct" ? type.fields : undefined;
}

function asFields(value: unknown): Fields {
  if (typeof value === "object" && value !== null) return value as Fields;
  throw new Error(`${String(value)} is not a struct`);
}

function asList(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value;
  throw new Error(`${String(value)} is not an array`);
}

function asBytes(value: unknown): Uint8Array {
  if (value instanceof Uint8Array) return value;
  throw new Error(`${String(value)} is not bytes`);
}

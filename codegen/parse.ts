// First stage: the text of a schema file, in Kafka's own notation or in our normalised one, to a MessageSpec.
// Refuses unknown keys and malformed values with the file and the path of the field; rules that need more than one
// field are `check`'s.
import { stripComments } from "./json-comments.ts";
import {
  type ElementSpec,
  type FieldSpec,
  MESSAGE_KINDS,
  type MessageKind,
  type MessageSpec,
  PRIMITIVE_TYPES,
  type PrimitiveName,
  SchemaError,
  type TypeSpec,
} from "./message-spec.ts";
import { intersect, isEmpty, NONE, parseVersions, type VersionRange } from "./versions.ts";

type Json = Readonly<Record<string, unknown>>;

const MESSAGE_KEYS = new Set(
  "apiKey type name validVersions deprecatedVersions flexibleVersions listeners latestVersionUnstable commonStructs fields".split(
    " ",
  ),
);
const FIELD_KEYS = new Set(
  "name type versions nullableVersions taggedVersions tag default ignorable mapKey entityType zeroCopy about flexibleVersions fields".split(
    " ",
  ),
);
const STRUCT_KEYS = new Set(["name", "versions", "fields", "about"]);

/** A struct that is defined once and used by name; `versions` narrows that of its fields. */
interface CommonStruct {
  readonly versions: VersionRange;
  readonly fields: readonly unknown[];
}

interface Scope {
  readonly file: string;
  readonly structs: ReadonlyMap<string, CommonStruct>;
  /** Names of the structs we are inside of: a struct that contains itself has no wire form. */
  readonly inside: readonly string[];
}

/** Reads one schema. Throws SchemaError with file and field path. */
export function parseMessage(file: string, text: string): MessageSpec {
  const json = parseObject(file, text);
  refuseUnknownKeys(json, MESSAGE_KEYS, file);
  const name = textOf(json, "name", file);
  const place = `${file}: ${name}`;
  const structs = commonStructs(json, file);
  const validVersions = requiredVersions(json, "validVersions", place);
  const kind = MESSAGE_KINDS.find((known) => known === json["type"]);
  if (kind === undefined)
    throw new SchemaError(place, `type ${JSON.stringify(json["type"])} is none of ${MESSAGE_KINDS.join(", ")}`);
  return {
    name,
    kind,
    apiKey: apiKeyOf(json, kind, place),
    validVersions,
    // A stub of a removed message has neither fields nor flexible versions.
    flexibleVersions: isEmpty(validVersions) ? NONE : requiredVersions(json, "flexibleVersions", place),
    listeners: listOf(json["listeners"]).map(String).toSorted(),
    latestVersionUnstable: booleanOf(json, "latestVersionUnstable", place),
    fields: parseFields(listOf(json["fields"]), name, { file, structs, inside: [] }),
  };
}

function parseObject(file: string, text: string): Json {
  let json: unknown;
  try {
    json = JSON.parse(stripComments(text));
  } catch (error) {
    throw new SchemaError(file, `not JSON: ${String(error)}`);
  }
  if (!isJson(json)) throw new SchemaError(file, "not an object");
  return json;
}

function apiKeyOf(json: Json, kind: MessageKind, place: string): number | undefined {
  const value = json["apiKey"];
  const isNeeded = kind !== "header" && kind !== "data";
  if (value === undefined && !isNeeded) return undefined;
  if (typeof value !== "number" || !Number.isInteger(value) || value < 0 || value > 0x7fff) {
    throw new SchemaError(place, `apiKey ${JSON.stringify(value)} is not an int16 from 0`);
  }
  return value;
}

function commonStructs(json: Json, file: string): Map<string, CommonStruct> {
  const structs = new Map<string, CommonStruct>();
  for (const struct of listOf(json["commonStructs"])) {
    if (!isJson(struct)) throw new SchemaError(`${file}: commonStructs`, "an entry is not an object");
    const name = textOf(struct, "name", `${file}: commonStructs`);
    const place = `${file}: commonStructs.${name}`;
    refuseUnknownKeys(struct, STRUCT_KEYS, place);
    if (!/^[A-Z]/.test(name)) throw new SchemaError(place, "the name of a struct is capitalised");
    if (structs.has(name)) throw new SchemaError(place, "is defined twice");
    structs.set(name, { versions: requiredVersions(struct, "versions", place), fields: listOf(struct["fields"]) });
  }
  return structs;
}

function parseFields(list: readonly unknown[], path: string, scope: Scope): FieldSpec[] {
  const names = new Set<string>();
  return list.map((entry) => {
    if (!isJson(entry)) throw new SchemaError(`${scope.file}: ${path}`, "a field is not an object");
    const field = parseField(entry, path, scope);
    if (names.has(field.name)) throw new SchemaError(`${scope.file}: ${path}.${field.name}`, "is defined twice");
    names.add(field.name);
    return field;
  });
}

function parseField(json: Json, path: string, scope: Scope): FieldSpec {
  const name = textOf(json, "name", `${scope.file}: ${path}`);
  const fieldPath = `${path}.${name}`;
  const place = `${scope.file}: ${fieldPath}`;
  if (!/^[A-Za-z][A-Za-z0-9]*$/.test(name)) throw new SchemaError(place, "the name is not letters and digits");
  refuseUnknownKeys(json, FIELD_KEYS, place);
  const tagged = optionalVersions(json, "taggedVersions", place) ?? NONE;
  const versions = optionalVersions(json, "versions", place) ?? tagged;
  if (isEmpty(versions) && json["versions"] === undefined)
    throw new SchemaError(place, "has neither versions nor taggedVersions");
  return {
    name,
    type: parseType(json, fieldPath, scope),
    versions,
    nullable: optionalVersions(json, "nullableVersions", place) ?? NONE,
    tagged,
    tag: tagOf(json, place),
    flexible: optionalVersions(json, "flexibleVersions", place),
    ignorable: booleanOf(json, "ignorable", place),
    default: defaultOf(json, place),
    entityType: json["entityType"] === undefined ? undefined : textOf(json, "entityType", place),
    mapKey: booleanOf(json, "mapKey", place),
  };
}

function parseType(json: Json, path: string, scope: Scope): TypeSpec {
  const text = textOf(json, "type", `${scope.file}: ${path}`);
  if (!text.startsWith("[]")) return parseElement(text, json, path, scope);
  if (text.startsWith("[][]")) throw new SchemaError(`${scope.file}: ${path}`, "arrays of arrays do not exist");
  return { kind: "array", element: parseElement(text.slice(2), json, path, scope) };
}

function parseElement(text: string, json: Json, path: string, scope: Scope): ElementSpec {
  const place = `${scope.file}: ${path}`;
  const primitive: PrimitiveName | undefined = PRIMITIVE_TYPES.find((name) => name === text);
  if (primitive !== undefined) {
    if (json["fields"] !== undefined) throw new SchemaError(place, `type ${text} has no fields of its own`);
    return { kind: "primitive", name: primitive };
  }
  if (!/^[A-Z][A-Za-z0-9]*$/.test(text)) throw new SchemaError(place, `type ${text} does not exist`);
  if (scope.inside.includes(text)) throw new SchemaError(place, `struct ${text} contains itself`);
  const inside = { ...scope, inside: [...scope.inside, text] };
  const common = scope.structs.get(text);
  if (common === undefined) {
    if (json["fields"] === undefined) throw new SchemaError(place, `struct ${text} is not defined`);
    return { kind: "struct", name: text, fields: parseFields(listOf(json["fields"]), path, inside) };
  }
  if (json["fields"] !== undefined) throw new SchemaError(place, `struct ${text} is a common struct: no fields here`);
  const fields = parseFields(common.fields, path, inside);
  return { kind: "struct", name: text, fields: fields.map((field) => narrow(field, common.versions)) };
}

/** A common struct's own versions hold for each of its fields. */
function narrow(field: FieldSpec, versions: VersionRange): FieldSpec {
  return { ...field, versions: intersect(field.versions, versions) };
}

function tagOf(json: Json, place: string): number | undefined {
  const value = json["tag"];
  if (value === undefined) return undefined;
  const tag = typeof value === "string" && value !== "" ? Number(value) : value;
  if (typeof tag === "number" && Number.isInteger(tag) && tag >= 0) return tag;
  throw new SchemaError(place, `tag ${JSON.stringify(value)} is not a number from 0`);
}

function defaultOf(json: Json, place: string): string | undefined {
  const value = json["default"];
  // Kafka reads a bare null as "none given", so the type's own default holds; only the text "null" means null.
  if (value === undefined || value === null) return undefined;
  if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") return String(value);
  throw new SchemaError(place, `default ${JSON.stringify(value)} is neither text, number nor bool`);
}

function booleanOf(json: Json, key: string, place: string): boolean {
  const value = json[key];
  if (value === undefined || value === false || value === "false") return false;
  if (value === true || value === "true") return true;
  throw new SchemaError(place, `${key} ${JSON.stringify(value)} is not a bool`);
}

function requiredVersions(json: Json, key: string, place: string): VersionRange {
  const range = optionalVersions(json, key, place);
  if (range === undefined) throw new SchemaError(place, `${key} is missing`);
  return range;
}

function optionalVersions(json: Json, key: string, place: string): VersionRange | undefined {
  const value = json[key];
  if (value === undefined) return undefined;
  const range = typeof value === "string" || typeof value === "number" ? parseVersions(`${value}`) : undefined;
  if (range === undefined) throw new SchemaError(place, `${key} ${JSON.stringify(value)} is not a range of versions`);
  return range;
}

function textOf(json: Json, key: string, place: string): string {
  const value = json[key];
  if (typeof value === "string" && value !== "") return value;
  throw new SchemaError(place, `${key} ${JSON.stringify(value)} is not text`);
}

/** Kafka's reader takes a single object where an array is expected; so do we. */
function listOf(value: unknown): readonly unknown[] {
  if (value === undefined) return [];
  return Array.isArray(value) ? value : [value];
}

function isJson(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function refuseUnknownKeys(json: Json, known: ReadonlySet<string>, place: string): void {
  const key = Object.keys(json).find((name) => !known.has(name));
  if (key !== undefined) throw new SchemaError(place, `key ${JSON.stringify(key)} is not in the schema language`);
}

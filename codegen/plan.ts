// Third stage: what code a message needs, as plain data. One decode and one encode per distinct layout of each struct;
// versions of the same layout share them. Nothing here knows how TypeScript is spelled, except names and types.
import { type DefaultValue, defaultOf } from "./defaults.ts";
import { INT64_OVERRIDES } from "./int64-overrides.ts";
import { type Layout, type LayoutField, type LayoutType, layoutKey, layoutOf } from "./layout.ts";
import { type FieldSpec, type MessageSpec, SchemaError, type TypeSpec } from "./message-spec.ts";
import { formatVersions, includes, isEmpty, listVersions } from "./versions.ts";

/** A type of the generated code. */
export type PlannedType =
  | { readonly kind: "primitive"; readonly name: string; readonly isBig: boolean }
  | { readonly kind: "struct"; readonly name: string }
  | { readonly kind: "array"; readonly element: Exclude<PlannedType, { readonly kind: "array" }> };

/** A property of an interface: the field in all its versions. */
export interface PropertyPlan {
  readonly field: string;
  readonly property: string;
  readonly type: PlannedType;
  /** Whether the TypeScript type includes null. */
  readonly canBeNull: boolean;
  readonly default: DefaultValue;
  /** A sentence fragment for its comment: the versions that have it, if not all. */
  readonly versions: string | undefined;
  readonly ignorable: boolean;
}

/** A property as one layout encodes it. */
export interface EncodingPlan {
  readonly property: PropertyPlan;
  readonly isNullable: boolean;
  readonly isFlexible: boolean;
  readonly tag: number | undefined;
  /** Name of the layout of the struct, or of the struct in the array. */
  readonly structLayout: string | undefined;
  /** Least bytes of an element, for arrays. */
  readonly elementBytesMin: number;
}

/** One wire form of a struct. */
export interface LayoutPlan {
  /** The first version that has it, as a suffix: "V9". */
  readonly suffix: string;
  /** The versions that have it, for comments and errors: "9-12". */
  readonly versions: string;
  readonly isFlexible: boolean;
  readonly fields: readonly EncodingPlan[];
  readonly tagged: readonly EncodingPlan[];
  /** Tags that the schema knows, but not in these versions: a peer that sends one speaks another version. */
  readonly foreignTags: readonly number[];
  /** Properties this layout has no place for and that must not be dropped in silence. */
  readonly refused: readonly PropertyPlan[];
}

/** A struct, or the message itself. */
export interface StructPlan {
  readonly name: string;
  readonly properties: readonly PropertyPlan[];
  readonly layouts: readonly LayoutPlan[];
}

/** All the code of one message. */
export interface CodecPlan {
  readonly message: MessageSpec;
  /** File name without folder or ending: "produce-request". */
  readonly fileName: string;
  /** Inner structs first, the message itself last. */
  readonly structs: readonly StructPlan[];
  /** Suffix of the layout by version; undefined below the lowest valid version. */
  readonly layoutByVersion: readonly (string | undefined)[];
}

interface StructDraft {
  readonly name: string;
  readonly fields: readonly FieldSpec[];
  /** Versions by layout key, in the order of the first version. */
  readonly layouts: Map<string, { readonly layout: Layout; readonly versions: number[] }>;
}

/** Plans the code of a checked message. */
export function planMessage(message: MessageSpec): CodecPlan {
  const drafts = new Map<string, StructDraft>();
  const layoutByVersion: (string | undefined)[] = [];
  for (const version of listVersions(message.validVersions)) {
    const root = { name: message.name, fields: message.fields };
    layoutByVersion[version] = draftLayout(drafts, root, layoutOf(message, version), version);
  }
  const structs = innerFirst(message.name, message.fields, []).map((name) =>
    planStruct(message, draftOf(drafts, name)),
  );
  return {
    message,
    fileName: kebabCase(message.name),
    structs,
    layoutByVersion: Array.from(layoutByVersion, (suffix) => suffix),
  };
}

/** Names of the structs in the order of their definition, each after those it contains, the message itself last. */
function innerFirst(name: string, fields: readonly FieldSpec[], before: readonly string[]): string[] {
  let names = [...before];
  for (const { type } of fields) {
    const element = type.kind === "array" ? type.element : type;
    if (element.kind === "struct") names = innerFirst(element.name, element.fields, names);
  }
  return names.includes(name) ? names : [...names, name];
}

function draftOf(drafts: ReadonlyMap<string, StructDraft>, name: string): StructDraft {
  const draft = drafts.get(name);
  if (draft === undefined) throw new Error(`struct ${name} is in no valid version`);
  return draft;
}

/** Notes the layout of a struct and of the structs within, and returns its suffix. */
function draftLayout(
  drafts: Map<string, StructDraft>,
  struct: { readonly name: string; readonly fields: readonly FieldSpec[] },
  layout: Layout,
  version: number,
): string {
  for (const { field, type } of [...layout.fields, ...layout.tagged]) {
    const inner = structOf(type);
    const fields = fieldsOf(field.type);
    if (inner !== undefined && fields !== undefined) {
      draftLayout(drafts, { name: inner.name, fields }, inner.layout, version);
    }
  }
  const draft = drafts.get(struct.name) ?? { ...struct, layouts: new Map() };
  drafts.set(struct.name, draft);
  const key = layoutKey(layout);
  const known = draft.layouts.get(key) ?? { layout, versions: [] };
  if (!known.versions.includes(version)) known.versions.push(version);
  draft.layouts.set(key, known);
  return `V${known.versions[0]}`;
}

function planStruct(message: MessageSpec, draft: StructDraft): StructPlan {
  const scope = draft.name === message.name ? message.name : `${message.name}.${draft.name}`;
  const structVersions = [...draft.layouts.values()].flatMap((layout) => layout.versions);
  const properties = new Map(draft.fields.map((field) => [field.name, planProperty(field, scope, structVersions)]));
  return {
    name: draft.name,
    properties: [...properties.values()],
    layouts: [...draft.layouts.values()].map(({ layout, versions }) =>
      planLayout(layout, versions, properties, message),
    ),
  };
}

function planProperty(field: FieldSpec, scope: string, structVersions: readonly number[]): PropertyPlan {
  const place = `${scope}.${field.name}`;
  const value = defaultOf(field, place);
  const isEverywhere = structVersions.every((version) => includes(field.versions, version));
  if (value.kind === "integer" && !isNumber(value.value) && !INT64_OVERRIDES.has(place)) {
    throw new SchemaError(place, `default ${value.value} is no exact number: add the field to int64-overrides.ts`);
  }
  return {
    field: place,
    property: field.name.charAt(0).toLowerCase() + field.name.slice(1),
    type: planType(field.type, INT64_OVERRIDES.has(place)),
    canBeNull: !isEmpty(field.nullable) || value.kind === "null",
    default: value,
    versions: isEverywhere ? undefined : formatVersions(field.versions),
    ignorable: field.ignorable,
  };
}

function isNumber(value: bigint): boolean {
  return value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER;
}

function planType(type: TypeSpec, isBig: boolean): PlannedType {
  if (type.kind === "primitive") return { kind: "primitive", name: type.name, isBig };
  if (type.kind === "struct") return { kind: "struct", name: type.name };
  const element = planType(type.element, isBig);
  if (element.kind === "array") throw new Error("arrays of arrays do not exist");
  return { kind: "array", element };
}

function planLayout(
  layout: Layout,
  versions: readonly number[],
  properties: ReadonlyMap<string, PropertyPlan>,
  message: MessageSpec,
): LayoutPlan {
  const propertyOf = (field: FieldSpec): PropertyPlan => {
    const property = properties.get(field.name);
    if (property === undefined) throw new Error(`${message.name}: no plan for ${field.name}`);
    return property;
  };
  const encoding = (field: LayoutField): EncodingPlan => ({
    property: propertyOf(field.field),
    isNullable: field.isNullable,
    isFlexible: field.isFlexible,
    tag: field.tag,
    structLayout: structLayoutName(field.type, message),
    elementBytesMin: field.type.kind === "array" ? Math.max(1, typeBytesMin(field.type.element, field.isFlexible)) : 0,
  });
  return {
    suffix: `V${versions[0]}`,
    versions: formatVersionList(versions),
    isFlexible: layout.isFlexible,
    fields: layout.fields.map(encoding),
    tagged: layout.tagged.map(encoding),
    foreignTags: foreignTags(layout),
    refused: layout.absent.filter((field) => !field.ignorable).map(propertyOf),
  };
}

function foreignTags(layout: Layout): number[] {
  const others = [...layout.absent, ...layout.fields.map((field) => field.field)];
  const tags = layout.isFlexible ? others.flatMap((field) => (field.tag === undefined ? [] : [field.tag])) : [];
  return tags.toSorted((a, b) => a - b);
}

/** The name of a struct with the first version that has this layout of it: what its functions are called after. */
function structLayoutName(type: LayoutType, message: MessageSpec): string | undefined {
  const inner = structOf(type);
  if (inner === undefined) return undefined;
  const key = layoutKey(inner.layout);
  for (const version of listVersions(message.validVersions)) {
    if (findStruct(layoutOf(message, version), inner.name, key)) return `${inner.name}V${version}`;
  }
  throw new Error(`${message.name}: layout of ${inner.name} is in no version`);
}

function findStruct(layout: Layout, name: string, key: string): boolean {
  return [...layout.fields, ...layout.tagged].some(({ type }) => {
    const inner = structOf(type);
    if (inner === undefined) return false;
    return (inner.name === name && layoutKey(inner.layout) === key) || findStruct(inner.layout, name, key);
  });
}

function structOf(type: LayoutType): { readonly name: string; readonly layout: Layout } | undefined {
  if (type.kind === "array") return structOf(type.element);
  return type.kind === "struct" ? type : undefined;
}

function fieldsOf(type: TypeSpec): readonly FieldSpec[] | undefined {
  if (type.kind === "array") return fieldsOf(type.element);
  return type.kind === "struct" ? type.fields : undefined;
}

const FIXED_BYTES: Readonly<Record<string, number>> = {
  bool: 1,
  int8: 1,
  int16: 2,
  uint16: 2,
  int32: 4,
  uint32: 4,
  int64: 8,
  float64: 8,
  uuid: 16,
};

/** Least bytes a value takes; what bounds the count of an array before anything is allocated. */
function typeBytesMin(type: LayoutType, isFlexible: boolean): number {
  if (type.kind === "primitive") return FIXED_BYTES[type.name] ?? (isFlexible ? 1 : type.name === "string" ? 2 : 4);
  if (type.kind === "array") return isFlexible ? 1 : 4;
  const fields = type.layout.fields.map((field) =>
    field.type.kind === "struct" && field.isNullable ? 1 : typeBytesMin(field.type, field.isFlexible),
  );
  return fields.reduce((sum, bytes) => sum + bytes, type.layout.isFlexible ? 1 : 0);
}

/** "3", "0-2" or "0-2, 5": versions that share a layout need not be neighbours. */
function formatVersionList(versions: readonly number[]): string {
  const runs: [number, number][] = [];
  for (const version of versions) {
    const last = runs.at(-1);
    if (last !== undefined && last[1] === version - 1) last[1] = version;
    else runs.push([version, version]);
  }
  return runs.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`)).join(", ");
}

/** "ProduceRequest" to "produce-request"; a run of capitals is one word. */
export function kebabCase(name: string): string {
  return name
    .replace(/([a-z0-9])([A-Z])/g, "$1-$2")
    .replace(/([A-Z])([A-Z][a-z])/g, "$1-$2")
    .toLowerCase();
}

// The wire form of a message at one version: which fields, in which order, in which encoding. Two versions with the
// same layout share their code, and the merge of two releases is right if it keeps every layout.
import type { FieldSpec, MessageSpec, PrimitiveName, TypeSpec } from "./message-spec.ts";
import { includes, type VersionRange } from "./versions.ts";

/** A type as one version encodes it. */
export type LayoutType =
  | { readonly kind: "primitive"; readonly name: PrimitiveName }
  | { readonly kind: "struct"; readonly name: string; readonly layout: Layout }
  | { readonly kind: "array"; readonly element: Exclude<LayoutType, { readonly kind: "array" }> };

/** A field as one version encodes it. */
export interface LayoutField {
  readonly field: FieldSpec;
  readonly type: LayoutType;
  readonly isNullable: boolean;
  /** Whether lengths are compact. */
  readonly isFlexible: boolean;
  readonly tag: number | undefined;
}

/** A message or struct as one version encodes it. */
export interface Layout {
  /** Whether it ends in a tag section. */
  readonly isFlexible: boolean;
  /** Untagged fields in wire order. */
  readonly fields: readonly LayoutField[];
  /** Tagged fields in ascending order of their tags. */
  readonly tagged: readonly LayoutField[];
  /** Fields of other versions. */
  readonly absent: readonly FieldSpec[];
}

/** The layout of a message at one of its valid versions. */
export function layoutOf(message: MessageSpec, version: number): Layout {
  return layoutOfFields(message.fields, version, message.flexibleVersions);
}

function layoutOfFields(fields: readonly FieldSpec[], version: number, flexible: VersionRange): Layout {
  const isFlexible = includes(flexible, version);
  const present = fields.filter((field) => includes(field.versions, version));
  const untagged = present.filter((field) => !includes(field.tagged, version));
  const tagged = present.filter((field) => includes(field.tagged, version));
  const toLayout = (field: FieldSpec): LayoutField => ({
    field,
    type: layoutOfType(field.type, version, flexible),
    isNullable: includes(field.nullable, version),
    isFlexible: includes(field.flexible ?? flexible, version),
    tag: includes(field.tagged, version) ? field.tag : undefined,
  });
  return {
    isFlexible,
    fields: untagged.map(toLayout),
    tagged: tagged.map(toLayout).toSorted((a, b) => (a.tag ?? 0) - (b.tag ?? 0)),
    absent: fields.filter((field) => !includes(field.versions, version)),
  };
}

function layoutOfType(type: TypeSpec, version: number, flexible: VersionRange): LayoutType {
  if (type.kind === "primitive") return type;
  if (type.kind === "struct") {
    return { kind: "struct", name: type.name, layout: layoutOfFields(type.fields, version, flexible) };
  }
  const element = layoutOfType(type.element, version, flexible);
  if (element.kind === "array") throw new Error("arrays of arrays do not exist");
  return { kind: "array", element };
}

/**
 * A text that is equal for two layouts exactly if they are the same on the wire. Names of structs never count; names
 * of fields count unless `spellName` blanks them, as for a message that was renamed with its fields.
 */
export function layoutKey(layout: Layout, spellName = (name: string) => name): string {
  const fields = [...layout.fields, ...layout.tagged].map((field) => {
    const marks = `${field.isNullable ? "?" : ""}${field.isFlexible ? "~" : ""}${field.tag === undefined ? "" : `#${field.tag}`}`;
    return `${spellName(field.field.name)}${marks}:${typeKey(field.type, spellName)}=${field.field.default ?? ""}`;
  });
  return `${layout.isFlexible ? "~" : ""}{${fields.join(",")}}`;
}

function typeKey(type: LayoutType, spellName: (name: string) => string): string {
  if (type.kind === "primitive") return type.name;
  return type.kind === "array" ? `[]${typeKey(type.element, spellName)}` : layoutKey(type.layout, spellName);
}

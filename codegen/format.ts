// A MessageSpec as text: the normalised form of a schema that `schemas/` holds. Facts only, keys in a fixed order, one
// field a line, so that a release's changes read well in a diff. `parse` reads it back to the same MessageSpec.
import type { FieldSpec, MessageSpec, TypeSpec } from "./message-spec.ts";
import { formatVersions, isEmpty } from "./versions.ts";

/** The text of `schemas/<name>.json`. */
export function formatMessage(message: MessageSpec): string {
  const lines = [
    message.apiKey === undefined ? undefined : `  "apiKey": ${message.apiKey},`,
    `  "type": "${message.kind}",`,
    message.listeners.length === 0 ? undefined : `  "listeners": ${JSON.stringify(message.listeners)},`,
    `  "name": "${message.name}",`,
    `  "validVersions": "${formatVersions(message.validVersions)}",`,
    `  "flexibleVersions": "${formatVersions(message.flexibleVersions)}",`,
    message.latestVersionUnstable ? '  "latestVersionUnstable": true,' : undefined,
    `  "fields": ${formatFields(message.fields, "  ")}`,
  ];
  return `{\n${lines.filter((line) => line !== undefined).join("\n")}\n}\n`;
}

function formatFields(fields: readonly FieldSpec[], indent: string): string {
  if (fields.length === 0) return "[]";
  return `[\n${fields.map((field) => `${indent}  ${formatField(field, `${indent}  `)}`).join(",\n")}\n${indent}]`;
}

function formatField(field: FieldSpec, indent: string): string {
  const struct = structOf(field.type);
  const parts = [
    `"name": "${field.name}"`,
    `"type": "${formatType(field.type)}"`,
    `"versions": "${formatVersions(field.versions)}"`,
    isEmpty(field.nullable) ? undefined : `"nullableVersions": "${formatVersions(field.nullable)}"`,
    isEmpty(field.tagged) ? undefined : `"taggedVersions": "${formatVersions(field.tagged)}", "tag": ${field.tag}`,
    field.flexible === undefined ? undefined : `"flexibleVersions": "${formatVersions(field.flexible)}"`,
    field.default === undefined ? undefined : `"default": ${JSON.stringify(field.default)}`,
    field.ignorable ? '"ignorable": true' : undefined,
    field.mapKey ? '"mapKey": true' : undefined,
    field.entityType === undefined ? undefined : `"entityType": "${field.entityType}"`,
    struct === undefined ? undefined : `"fields": ${formatFields(struct, indent)}`,
  ];
  return `{ ${parts.filter((part) => part !== undefined).join(", ")} }`;
}

function structOf(type: TypeSpec): readonly FieldSpec[] | undefined {
  if (type.kind === "array") return structOf(type.element);
  return type.kind === "struct" ? type.fields : undefined;
}

function formatType(type: TypeSpec): string {
  return type.kind === "array" ? `[]${formatType(type.element)}` : type.name;
}

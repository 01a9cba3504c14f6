// Second stage: the rules of the schema language that need more than one key or field. It changes nothing.
// Every error names the file and the path of the field.
import { defaultOf } from "./defaults.ts";
import { formatMessage } from "./format.ts";
import { type FieldSpec, type MessageSpec, SchemaError, type TypeSpec } from "./message-spec.ts";
import { contains, formatVersions, includes, intersect, isEmpty, listVersions, type VersionRange } from "./versions.ts";

/** Types that may be null. */
const NULLABLE = new Set(["string", "bytes", "records"]);

/** Checks one message. Throws SchemaError. */
export function checkMessage(file: string, message: MessageSpec): void {
  const place = `${file}: ${message.name}`;
  const { validVersions, flexibleVersions } = message;
  if (isEmpty(validVersions)) return;
  if (validVersions.highest === Number.POSITIVE_INFINITY) throw new SchemaError(place, "validVersions have no end");
  if (!isEmpty(flexibleVersions) && flexibleVersions.highest !== Number.POSITIVE_INFINITY) {
    throw new SchemaError(place, `flexibleVersions ${formatVersions(flexibleVersions)} are neither "none" nor "N+"`);
  }
  if (message.listeners.length > 0 && message.kind !== "request") {
    throw new SchemaError(place, "only a request has listeners");
  }
  const structs = new Map<string, string>();
  checkFields(message.fields, place, { message, structs, isTopLevel: true });
}

/** Checks that every request has its response, of the same versions, and no key is used twice. */
export function checkPairs(messages: readonly MessageSpec[]): void {
  const names = new Set<string>();
  for (const message of messages) {
    if (names.has(message.name)) throw new SchemaError(`${message.name}.json`, "a message of this name exists already");
    names.add(message.name);
  }
  for (const [kind, other] of [
    ["request", "response"],
    ["response", "request"],
  ] as const) {
    for (const message of messages.filter((candidate) => candidate.kind === kind)) {
      const pairs = messages.filter((candidate) => candidate.kind === other && candidate.apiKey === message.apiKey);
      const versions = formatVersions(message.validVersions);
      if (pairs.length !== 1 || formatVersions(pairs[0]?.validVersions ?? message.validVersions) !== versions) {
        throw new SchemaError(
          `${message.name}.json`,
          `key ${message.apiKey} has no single ${other} of versions ${versions}`,
        );
      }
    }
  }
}

interface Context {
  readonly message: MessageSpec;
  /** Text of each struct seen, by name: one name, one definition. */
  readonly structs: Map<string, string>;
  readonly isTopLevel: boolean;
}

function checkFields(fields: readonly FieldSpec[], place: string, context: Context): void {
  for (const field of fields) checkField(field, `${place}.${field.name}`, context);
  checkTags(fields, place);
}

function checkField(field: FieldSpec, place: string, context: Context): void {
  const { flexibleVersions } = context.message;
  defaultOf(field, place);
  if (!isEmpty(field.nullable) && field.type.kind === "primitive" && !NULLABLE.has(field.type.name)) {
    throw new SchemaError(place, `type ${field.type.name} cannot be null`);
  }
  if (
    field.flexible !== undefined &&
    !(field.type.kind === "primitive" && ["string", "bytes"].includes(field.type.name))
  ) {
    throw new SchemaError(place, "only a string or bytes may override flexibleVersions");
  }
  if (isEmpty(field.tagged) !== (field.tag === undefined)) {
    throw new SchemaError(place, "tag and taggedVersions are given together or not at all");
  }
  if (!isEmpty(field.tagged)) checkTagged(field, place, flexibleVersions);
  if (field.mapKey && context.isTopLevel) throw new SchemaError(place, "a message's own field cannot be a map key");
  checkType(field.type, place, context);
}

function checkTagged(field: FieldSpec, place: string, flexibleVersions: VersionRange): void {
  const tagged = formatVersions(field.tagged);
  if (field.tagged.highest !== Number.POSITIVE_INFINITY)
    throw new SchemaError(place, `taggedVersions ${tagged} have an end`);
  if (!contains(field.versions, field.tagged))
    throw new SchemaError(place, `taggedVersions ${tagged} are not within its versions`);
  if (!contains(flexibleVersions, field.tagged))
    throw new SchemaError(place, `taggedVersions ${tagged} are not all flexible`);
  if (field.mapKey) throw new SchemaError(place, "a tagged field cannot be a map key");
  const nullable = intersect(field.tagged, field.nullable);
  if (!isEmpty(nullable) && !contains(nullable, field.tagged)) {
    throw new SchemaError(place, "a tagged field is nullable in all or none of its tagged versions");
  }
}

function checkTags(fields: readonly FieldSpec[], place: string): void {
  const tags = fields.flatMap((field) => (field.tag === undefined ? [] : [field.tag])).toSorted((a, b) => a - b);
  for (const [index, tag] of tags.entries()) {
    if (tag !== index) throw new SchemaError(place, `tags ${tags.join(", ")} are not unique and contiguous from 0`);
  }
}

function checkType(type: TypeSpec, place: string, context: Context): void {
  if (type.kind === "array") {
    checkType(type.element, place, context);
    return;
  }
  if (type.kind === "primitive") return;
  if (type.name === context.message.name)
    throw new SchemaError(place, `struct ${type.name} has the name of its message`);
  // The text of a message with these fields is as good as a deep comparison, and shows what differs.
  const text = formatMessage({ ...context.message, fields: type.fields });
  const known = context.structs.get(type.name);
  if (known !== undefined && known !== text) throw new SchemaError(place, `struct ${type.name} has two definitions`);
  context.structs.set(type.name, text);
  checkFields(type.fields, place, { ...context, isTopLevel: false });
}

/** The versions of an API to advertise: without the highest if that is unstable. */
export function stableVersions(request: MessageSpec): number[] {
  const versions = listVersions(request.validVersions);
  return request.latestVersionUnstable
    ? versions.filter((version) => version < request.validVersions.highest && includes(request.validVersions, version))
    : versions;
}

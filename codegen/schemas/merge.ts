// The union of one message in two releases: the old one knows the versions that the new one removed, the new one
// those that were added. Below the new release's lowest version the old schema speaks, from there on the new one.
// Refuses a union that would change the wire form of any version of either release.
import { layoutKey, layoutOf } from "../layout.ts";
import { type FieldSpec, type MessageSpec, SchemaError, type TypeSpec } from "../message-spec.ts";
import { contains, formatVersions, intersect, isEmpty, listVersions, NONE, type VersionRange } from "../versions.ts";

/**
 * The messages of the old release without highest versions that were unstable then: they may have been redefined or
 * deleted since. Only a request says so, and it holds for its response. Messages without a stable version are left out.
 */
export function stableOnly(messages: readonly MessageSpec[]): MessageSpec[] {
  const unstable = messages.filter((message) => message.latestVersionUnstable).map((message) => message.apiKey);
  const stable = messages.map((message): MessageSpec => {
    const isUnstable = message.apiKey !== undefined && unstable.includes(message.apiKey);
    if (!isUnstable) return message;
    const { lowest, highest } = message.validVersions;
    const validVersions = highest > lowest ? { lowest, highest: highest - 1 } : NONE;
    return { ...message, validVersions, latestVersionUnstable: false };
  });
  return stable.filter((message) => !isEmpty(message.validVersions));
}

/** Merges the same message of a release's stable versions and a newer release. Throws SchemaError if a version would change its layout. */
export function mergeMessages(older: MessageSpec, newer: MessageSpec): MessageSpec {
  const merged = contains(newer.validVersions, older.validVersions) ? newer : unionOf(older, newer);
  ensureSameLayouts(older, merged, "older");
  ensureSameLayouts(newer, merged, "newer");
  return merged;
}

function unionOf(older: MessageSpec, newer: MessageSpec): MessageSpec {
  const boundary = newer.validVersions.lowest;
  return {
    ...newer,
    validVersions: {
      lowest: Math.min(older.validVersions.lowest, boundary),
      highest: Math.max(older.validVersions.highest, newer.validVersions.highest),
    },
    flexibleVersions: mergeRange(
      older.flexibleVersions,
      newer.flexibleVersions,
      boundary,
      `${newer.name} flexibleVersions`,
    ),
    fields: mergeFields(older.fields, newer.fields, boundary, newer.name),
  };
}

/** The gate: every version of `source` has the same layout in the union. */
function ensureSameLayouts(source: MessageSpec, merged: MessageSpec, release: string): void {
  // A message that was renamed may have renamed its fields too (ListClientMetricsResources did): the bytes decide.
  const spellName = source.name === merged.name ? undefined : () => "";
  for (const version of listVersions(source.validVersions)) {
    const expected = layoutKey(layoutOf(source, version), spellName);
    const actual = layoutKey(layoutOf(merged, version), spellName);
    if (expected !== actual) {
      throw new SchemaError(
        `${merged.name} version ${version}`,
        `the union differs from the ${release} release\n  ${expected}\n  ${actual}`,
      );
    }
  }
}

/** The newer order; a field that only the older release has stands behind its predecessor there. */
function mergeFields(
  older: readonly FieldSpec[],
  newer: readonly FieldSpec[],
  boundary: number,
  path: string,
): FieldSpec[] {
  const olderByName = new Map(older.map((field) => [field.name, field]));
  const merged: FieldSpec[] = [];
  for (const field of newer) {
    const before = olderByName.get(field.name);
    merged.push(before === undefined ? onlyNewer(field, boundary) : mergeField(before, field, boundary, path));
  }
  const newerNames = new Set(newer.map((field) => field.name));
  for (const [index, field] of older.entries()) {
    const versions = intersect(field.versions, below(boundary));
    if (newerNames.has(field.name) || isEmpty(versions)) continue;
    const predecessor = older[index - 1];
    const at = predecessor === undefined ? 0 : merged.findIndex((other) => other.name === predecessor.name) + 1;
    merged.splice(at, 0, { ...field, versions });
  }
  return merged;
}

function onlyNewer(field: FieldSpec, boundary: number): FieldSpec {
  return { ...field, versions: intersect(field.versions, from(boundary)) };
}

function mergeField(older: FieldSpec, newer: FieldSpec, boundary: number, path: string): FieldSpec {
  const place = `${path}.${newer.name}`;
  const range = (key: "versions" | "nullable" | "tagged"): VersionRange =>
    mergeRange(older[key], newer[key], boundary, `${place} ${key}`);
  return {
    ...newer,
    versions: range("versions"),
    nullable: range("nullable"),
    tagged: range("tagged"),
    type: mergeType(older.type, newer.type, boundary, place),
  };
}

function mergeType(older: TypeSpec, newer: TypeSpec, boundary: number, path: string): TypeSpec {
  if (older.kind === "array" && newer.kind === "array") {
    const element = mergeType(older.element, newer.element, boundary, path);
    if (element.kind !== "array") return { kind: "array", element };
  }
  if (older.kind === "struct" && newer.kind === "struct") {
    return { ...newer, fields: mergeFields(older.fields, newer.fields, boundary, path) };
  }
  if (older.kind === "primitive" && newer.kind === "primitive" && older.name === newer.name) return newer;
  throw new SchemaError(path, "has another type in the newer release");
}

function mergeRange(older: VersionRange, newer: VersionRange, boundary: number, place: string): VersionRange {
  const low = intersect(older, below(boundary));
  const high = intersect(newer, from(boundary));
  if (isEmpty(low)) return high;
  if (isEmpty(high)) return low;
  if (low.highest !== boundary - 1 || high.lowest !== boundary) {
    throw new SchemaError(place, `${formatVersions(low)} and ${formatVersions(high)} leave a gap`);
  }
  return { lowest: low.lowest, highest: high.highest };
}

function below(boundary: number): VersionRange {
  return boundary === 0 ? NONE : { lowest: 0, highest: boundary - 1 };
}

function from(boundary: number): VersionRange {
  return { lowest: boundary, highest: Number.POSITIVE_INFINITY };
}

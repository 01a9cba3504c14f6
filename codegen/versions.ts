// Ranges of message versions, and the few operations the generator needs on them.
// A range is closed at both ends; `highest` may be Infinity ("N+"), and NONE is the empty range.

/** Versions from `lowest` to `highest`, both included; empty if `highest < lowest`. */
export interface VersionRange {
  readonly lowest: number;
  readonly highest: number;
}

/** The empty range. */
export const NONE: VersionRange = { lowest: 0, highest: -1 };

/** Reads "0", "2-5", "3+" or "none". Returns undefined for anything else. */
export function parseVersions(text: string): VersionRange | undefined {
  if (text === "none") return NONE;
  const match = /^(\d+)(?:(\+)|-(\d+))?$/.exec(text);
  if (match === null) return undefined;
  const lowest = Number(match[1]);
  const highest = match[2] === "+" ? Number.POSITIVE_INFINITY : Number(match[3] ?? match[1]);
  return highest < lowest ? undefined : { lowest, highest };
}

/** The spelling that {@link parseVersions} reads. */
export function formatVersions(range: VersionRange): string {
  if (isEmpty(range)) return "none";
  if (range.highest === Number.POSITIVE_INFINITY) return `${range.lowest}+`;
  return range.lowest === range.highest ? `${range.lowest}` : `${range.lowest}-${range.highest}`;
}

/** Whether no version is in the range. */
export function isEmpty(range: VersionRange): boolean {
  return range.highest < range.lowest;
}

/** Whether `version` is in the range. */
export function includes(range: VersionRange, version: number): boolean {
  return version >= range.lowest && version <= range.highest;
}

/** Whether every version of `inner` is in `outer`. */
export function contains(outer: VersionRange, inner: VersionRange): boolean {
  return isEmpty(inner) || (inner.lowest >= outer.lowest && inner.highest <= outer.highest);
}

/** The versions that are in both. */
export function intersect(a: VersionRange, b: VersionRange): VersionRange {
  const both = { lowest: Math.max(a.lowest, b.lowest), highest: Math.min(a.highest, b.highest) };
  return isEmpty(both) ? NONE : both;
}

/** The versions of a closed range in order. */
export function listVersions(range: VersionRange): number[] {
  if (range.highest === Number.POSITIVE_INFINITY) throw new Error(`versions ${formatVersions(range)} have no end`);
  const versions: number[] = [];
  for (let version = range.lowest; version <= range.highest; version += 1) versions.push(version);
  return versions;
}

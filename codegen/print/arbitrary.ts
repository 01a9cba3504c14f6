// Random messages for tests: per struct one function that builds a fast-check arbitrary for a version. Fields that the
// version does not have hold their defaults, so every message it gives can be encoded.
import type { CodecPlan, PlannedType, PropertyPlan, StructPlan } from "../plan.ts";
import { parseVersions } from "../versions.ts";
import { defaultText, lowerFirst } from "./names.ts";
import { type DeclarationPlan, functionOf, textOf } from "./source-file.ts";

/** The declarations of a message's arbitraries. */
export function arbitraryDeclarations(plan: CodecPlan): DeclarationPlan[] {
  const nullable = nullableVersions(plan);
  return plan.structs.toReversed().map((struct) => arbitraryDeclaration(plan, struct, nullable));
}

/** Versions in which a property is nullable, as a condition, by the field's path. */
function nullableVersions(plan: CodecPlan): Map<string, Set<number>> {
  const byField = new Map<string, Set<number>>();
  for (const struct of plan.structs) {
    for (const layout of struct.layouts) {
      for (const field of [...layout.fields, ...layout.tagged]) {
        const versions = byField.get(field.property.field) ?? new Set();
        if (field.isNullable) for (const version of listed(layout.versions)) versions.add(version);
        byField.set(field.property.field, versions);
      }
    }
  }
  return byField;
}

function listed(versions: string): number[] {
  return versions.split(", ").flatMap((run) => {
    const [from = 0, to = from] = run.split("-").map(Number);
    return Array.from({ length: to - from + 1 }, (_, index) => from + index);
  });
}

function arbitraryDeclaration(
  plan: CodecPlan,
  struct: StructPlan,
  nullable: ReadonlyMap<string, ReadonlySet<number>>,
): DeclarationPlan {
  const parts = struct.properties.map((property) => {
    const versions = [...(nullable.get(property.field) ?? [])];
    return `${property.property}: ${propertyArbitrary(property, versions)}`;
  });
  const flexible = plan.message.flexibleVersions;
  const hasTags = flexible.highest >= flexible.lowest;
  parts.push(
    `unknownTags: ${hasTags ? `version >= ${flexible.lowest} ? values.unknownTags : fc.constant(null)` : "fc.constant(null)"}`,
  );
  const isMessage = struct.name === plan.message.name;
  return functionOf({
    name: `${lowerFirst(struct.name)}Arbitrary`,
    isExported: isMessage,
    ...(isMessage ? { docs: [`Any ${struct.name} that \`version\` can carry.`] } : {}),
    parameters: [{ name: parts.some((part) => /\bversion\b/.test(part)) ? "version" : "_version", type: "number" }],
    returnType: `fc.Arbitrary<${struct.name}>`,
    statements: `return values.recordOf({\n${parts.map((part) => `  ${part},`).join("\n")}\n});`,
  });
}

function propertyArbitrary(property: PropertyPlan, nullableIn: readonly number[]): string {
  const value = typeArbitrary(property.type);
  const withNull = nullableArbitrary(property, value, nullableIn);
  const range = property.versions === undefined ? undefined : parseVersions(property.versions);
  if (range === undefined) return withNull;
  const absent = `fc.constant(${defaultText(property)})`;
  return `${versionCondition(range)} ? ${withNull} : ${absent}`;
}

function nullableArbitrary(property: PropertyPlan, value: string, nullableIn: readonly number[]): string {
  if (!property.canBeNull || nullableIn.length === 0) return value;
  const from = Math.min(...nullableIn);
  const first = property.versions === undefined ? 0 : (parseVersions(property.versions)?.lowest ?? 0);
  // The nullable versions of every schema are open-ended within the field's own.
  return from <= first || property.default.kind === "null"
    ? `fc.option(${value})`
    : `(version >= ${from} ? fc.option(${value}) : ${value})`;
}

function versionCondition(range: { readonly lowest: number; readonly highest: number }): string {
  if (range.highest === Number.POSITIVE_INFINITY) return `version >= ${range.lowest}`;
  if (range.lowest === range.highest) return `version === ${range.lowest}`;
  return range.lowest === 0
    ? `version <= ${range.highest}`
    : `version >= ${range.lowest} && version <= ${range.highest}`;
}

function typeArbitrary(type: PlannedType): string {
  if (type.kind === "array") return `values.arrayOf(${typeArbitrary(type.element)})`;
  if (type.kind === "struct") return `${lowerFirst(type.name)}Arbitrary(version)`;
  return type.isBig ? "values.int64Big" : `values.${type.name}`;
}

/** The text of generated/testing/values.ts: arbitraries of the primitive types. */
export const valuesDeclarations: readonly DeclarationPlan[] = [
  textOf(
    "values",
    `/** Arbitraries of the primitive types, extremes included. */
export const values = {
  bool: fc.boolean(),
  int8: fc.integer({ min: -0x80, max: 0x7f }),
  int16: fc.integer({ min: -0x8000, max: 0x7fff }),
  uint16: fc.integer({ min: 0, max: 0xffff }),
  int32: fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff }),
  uint32: fc.integer({ min: 0, max: 0xffff_ffff }),
  int64: fc.maxSafeInteger(),
  int64Big: fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n }),
  float64: fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => (value === 0 ? 0 : value)),
  string: fc.oneof(fc.string({ maxLength: 12 }), fc.string({ unit: "grapheme", maxLength: 70 })),
  uuid: fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => Buffer.from(bytes).toString("base64url")),
  bytes: fc.uint8Array({ maxLength: 40 }),
  records: fc.uint8Array({ maxLength: 40 }).map((bytes) => (bytes.length === 0 ? [] : [bytes])),
  unknownTags: fc.option(
    fc.uniqueArray(fc.integer({ min: 100, max: 0x7fff_ffff }), { minLength: 1, maxLength: 2 }).chain((tags) =>
      fc.tuple(...tags.toSorted((a, b) => a - b).map((tag) => fc.record({ tag: fc.constant(tag), bytes: fc.uint8Array({ maxLength: 8 }) }, { noNullPrototype: true }))),
    ),
    { freq: 1 },
  ) satisfies fc.Arbitrary<readonly UnknownTag[] | null>,
  recordOf: <T>(model: { readonly [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> =>
    fc.record(model, { noNullPrototype: true }),
  arrayOf: <T>(element: fc.Arbitrary<T>): fc.Arbitrary<T[]> => fc.array(element, { maxLength: 3 }),
};
`,
  ),
];

// Where a rule of this folder is not kept, by name and with the reason. The lists only shrink: an entry that is no longer
// needed fails the test of its rule.

/** One place that a rule lets pass. */
export interface Exception {
  readonly path: string;
  /** The most that this place may reach, for rules that measure. */
  readonly atMost?: number;
  readonly because: string;
}

/** Files longer than 400 lines. */
export const longFiles: readonly Exception[] = [];

/** Functions longer than 50 lines, as `path#name`. */
export const longFunctions: readonly Exception[] = [];

const walkOfSchemas = "a walk over a schema hands the same four things down at every step";

/** Functions with more than 3 parameters, as `path#name`. */
export const manyParameters: readonly Exception[] = [
  { path: "codegen/parse.ts#parseElement", atMost: 4, because: walkOfSchemas },
  { path: "codegen/plan.ts#draftLayout", atMost: 4, because: walkOfSchemas },
  { path: "codegen/plan.ts#planLayout", atMost: 4, because: walkOfSchemas },
  { path: "codegen/print/decode.ts#decodeField", atMost: 4, because: walkOfSchemas },
  { path: "codegen/print/decode.ts#decodeArray", atMost: 4, because: walkOfSchemas },
  { path: "codegen/print/decode.ts#fillLoop", atMost: 4, because: walkOfSchemas },
  { path: "codegen/print/decode.ts#sized", atMost: 4, because: walkOfSchemas },
  { path: "codegen/print/encode.ts#primitiveCall", atMost: 4, because: walkOfSchemas },
  { path: "codegen/print/names.ts#wrapped", atMost: 4, because: walkOfSchemas },
  { path: "codegen/schemas/merge.ts#mergeFields", atMost: 4, because: walkOfSchemas },
  { path: "codegen/schemas/merge.ts#mergeField", atMost: 4, because: walkOfSchemas },
  { path: "codegen/schemas/merge.ts#mergeType", atMost: 4, because: walkOfSchemas },
  { path: "codegen/schemas/merge.ts#mergeRange", atMost: 4, because: walkOfSchemas },
  { path: "src/host/clock.ts#withDeadline", atMost: 5, because: "read in one line wherever something waits" },
  { path: "src/log/wal-reader.ts#within", atMost: 4, because: "withDeadline with this file's own clock" },
];

/** Source files without a test file of their own name. */
export const withoutOwnTest: readonly Exception[] = [
  { path: "src/main/kafscale.ts", because: "the process itself: test/e2e/broker-start.test.ts" },
  { path: "src/main/serve.ts", because: "the life of a process: test/e2e/broker-start.test.ts and demo.test.ts" },
];

/** Uses of a banned global. */
export const bannedGlobals: readonly Exception[] = [];

/** Banned words in names, as `path#name`. */
export const bannedNames: readonly Exception[] = [
  { path: "codegen/parse.ts#CommonStruct", because: "Kafka's schemas call them commonStructs" },
  { path: "codegen/parse.ts#commonStructs", because: "Kafka's schemas call them commonStructs" },
  { path: "codegen/parse.ts#common", because: "Kafka's schemas call them commonStructs" },
  { path: "src/host/tcp-transport.ts#handle", because: "Node calls what is below a socket its handle" },
];

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

/** Functions with more than 3 parameters, as `path#name`. */
export const manyParameters: readonly Exception[] = [];

/** Source files without a test file of their own name. */
export const withoutOwnTest: readonly Exception[] = [];

/** Uses of a banned global. */
export const bannedGlobals: readonly Exception[] = [];

/** Banned words in names, as `path#name`. */
export const bannedNames: readonly Exception[] = [
  { path: "codegen/parse.ts#CommonStruct", because: "Kafka's schemas call them commonStructs" },
  { path: "codegen/parse.ts#commonStructs", because: "Kafka's schemas call them commonStructs" },
  { path: "codegen/parse.ts#common", because: "Kafka's schemas call them commonStructs" },
  { path: "src/host/tcp-transport.ts#handle", because: "Node calls what is below a socket its handle" },
];

// Every command that the documents show, and what runs it. A command without a row fails `ensure-documents.test.ts`, and so
// does a row that nothing shows any more.

/** A command as a code block writes it. `runBy` is the test file, below `test/`, that runs it as it stands. */
export interface DocumentedCommand {
  readonly command: string;
  readonly runBy: string;
}

/** The rows, in the order of the README and then of docs/. */
export const documentedCommands: readonly DocumentedCommand[] = [
  { command: "make demo", runBy: "e2e/demo.test.ts" },
  { command: "make test", runBy: "tidy/ensure-documents.test.ts" },
  { command: "npm pack", runBy: "e2e/npm-package.test.ts" },
];

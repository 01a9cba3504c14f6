// How `make test-e2e` and `make scenarios` run the tests: one file after the other, because each starts programs that need both cores.
import { join } from "node:path";
import { defineConfig } from "vitest/config";
import { reporters } from "./vitest.reporters.ts";

/** Hours, where everything else takes minutes: `make scenarios` runs it alone. */
const campaign = "test/e2e/campaign.test.ts";
const isCampaign = process.env["KAFSCALE_E2E_CAMPAIGN"] === "true";

export default defineConfig({
  test: {
    include: isCampaign ? [campaign] : ["test/e2e/**/*.test.ts"],
    exclude: isCampaign ? [] : [campaign],
    // Programs are found by their usual names, the pinned ones first.
    env: {
      PATH: `${join(import.meta.dirname, ".tools", "bin")}:${process.env["PATH"] ?? ""}`,
      // Node 20 is supported here for as long as it is by this version of the AWS client.
      AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: "true",
    },
    pool: "forks",
    fileParallelism: false,
    expect: { requireAssertions: true },
    testTimeout: 180_000,
    hookTimeout: 120_000,
    ...reporters(),
  },
});

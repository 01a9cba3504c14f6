// `npm pack` gives a package that is installed into an empty folder and serves from there.
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { freePort } from "./broker-process.ts";
import { comparable, sampleRecords } from "./clients/client.ts";
import { kafkajsClient } from "./clients/kafkajs.ts";
import { RunningProgram, runProgram } from "./program.ts";
import { repositoryRoot } from "./tools.ts";

/** What `npm pack --json` prints of a package. */
interface PackedPackage {
  readonly filename: string;
  readonly files: readonly { readonly path: string }[];
}

describe("the npm package", () => {
  const folder = mkdtempSync(join(tmpdir(), "kafscale-package-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it("has what serve needs, and no test or clients' side of the protocol", async () => {
    const args = ["pack", "--json", "--pack-destination", folder];
    const { stdout } = await runProgram("npm", args, { cwd: repositoryRoot });
    const packed = Object.values(JSON.parse(stdout) as Record<string, PackedPackage>)[0];
    const paths = packed?.files.map(({ path }) => path) ?? [];
    expect(paths).toContain("dist/src/main/kafscale.js");
    expect(paths).toContain("LICENSE");
    // Code of other packages is in the bundle, so their licences go with it, and what etcd3 reads at its start.
    expect(paths).toContain("dist/THIRD-PARTY-LICENSES.txt");
    expect(paths).toContain("dist/src/proto/rpc.proto");
    expect(paths.filter((path) => /generated\/testing|^dist\/test|\.test\.|^src\//.test(path))).toEqual([]);
  });

  it("serves from the folder where it was installed", async () => {
    const home = join(folder, "home");
    mkdirSync(home);
    const { stdout } = await runProgram("npm", ["pack", "--json", "--pack-destination", folder], {
      cwd: repositoryRoot,
    });
    const packed = Object.values(JSON.parse(stdout) as Record<string, PackedPackage>)[0];
    await runProgram("npm", ["install", "--no-audit", "--no-fund", join(folder, packed?.filename ?? "")], {
      cwd: home,
      timeoutMs: 120_000,
    });
    const kafscale = join(home, "node_modules", ".bin", "kafscale");
    expect((await runProgram(kafscale, ["--version"])).stdout).toMatch(/^\d+\.\d+\.\d+$/m);
    const bootstrap = `127.0.0.1:${await freePort()}`;
    const args = ["serve", "--kafka-addr", bootstrap, "--metrics-addr", `127.0.0.1:${await freePort()}`, "--examples"];
    const broker = new RunningProgram(kafscale, args, { cwd: home });
    try {
      await broker.waitUntil(() => broker.stdout.includes("Ctrl-C stops."), "the packaged broker is ready");
      const records = sampleRecords("package");
      const target = { bootstrap, topic: "packaged" };
      await kafkajsClient.produce({ ...target, records, compression: "gzip", isIdempotent: true });
      const read = await kafkajsClient.consume({ ...target, group: "packaged", count: records.length });
      expect(comparable(read)).toEqual(comparable(records));
    } finally {
      expect((await broker.stop()).exitCode).toBe(0);
    }
  });
});

// Makes dist: the program as a few files instead of the 800 that a start would have to find and read, and the licences of
// the packages that are in them. Names stay as they are in the sources, source maps lie beside. Fails when a package in
// the bundle names no licence.
import { chmodSync, cpSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { build, type Metafile } from "esbuild";

/** Where the program is when it is done; until then it is made beside. */
const OUTPUT = "dist";
const WORK = ".cache/dist";
const ENTRY = "src/main/kafscale.ts";

/** Left as packages: native code and WebAssembly, which lie beside their loaders, and a search for keys that most do not need. */
const external = ["@aws-sdk/credential-provider-node", "@bokuweb/zstd-wasm", "@node-rs/crc32", "lz4-napi", "snappy"];

/** What packages made for CommonJS expect to be there. */
const requireForPackages = `import { createRequire as kafscaleRequire } from "node:module";
import { fileURLToPath as kafscalePath } from "node:url";
const require = kafscaleRequire(import.meta.url);
const __filename = kafscalePath(import.meta.url);
const __dirname = kafscalePath(new URL(".", import.meta.url));`;

async function bundle(): Promise<Metafile> {
  const { metafile } = await build({
    entryPoints: [ENTRY],
    outdir: join(WORK, dirname(ENTRY)),
    // Beside each other: a package that looks for its files next to itself looks in one place.
    chunkNames: "[name]-[hash]",
    bundle: true,
    splitting: true,
    format: "esm",
    platform: "node",
    target: "node20.19",
    external,
    banner: { js: requireForPackages },
    sourcemap: true,
    sourcesContent: false,
    legalComments: "none",
    metafile: true,
    logLevel: "warning",
  });
  return metafile;
}

/** The folders of the packages that are in the bundle, in the order of their names. */
function bundledPackages({ inputs }: Metafile): readonly string[] {
  const folders = Object.keys(inputs).flatMap((path) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0] ?? []);
  return [...new Set(folders)].sort();
}

function licenceOf(folder: string): string {
  const { name, version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as {
    readonly name: string;
    readonly version: string;
    readonly license?: string;
  };
  const files = readdirSync(folder).filter((file) => /^(licen[cs]e|copying|notice)/i.test(file));
  if (files.length === 0 && license === undefined) throw new Error(`${name} in the bundle names no licence`);
  const texts = files.map((file) => readFileSync(join(folder, file), "utf8").trim());
  return [`${name} ${version} (${license ?? "see below"})`, ...texts].join("\n\n");
}

rmSync(WORK, { recursive: true, force: true });
const metafile = await bundle();
// etcd3 reads its schema in `../proto` of the folder that it was loaded from.
cpSync("node_modules/etcd3/proto", join(WORK, "src/proto"), { recursive: true });
const notices = bundledPackages(metafile)
  .map(licenceOf)
  .join(`\n\n${"-".repeat(80)}\n\n`);
writeFileSync(join(WORK, "THIRD-PARTY-LICENSES.txt"), `${notices}\n`);
chmodSync(join(WORK, "src/main/kafscale.js"), 0o755);
rmSync(OUTPUT, { recursive: true, force: true });
renameSync(WORK, OUTPUT);

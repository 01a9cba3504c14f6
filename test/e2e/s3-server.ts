// A real S3 server as its own process on a folder of its own, with one empty bucket.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CreateBucketCommand, S3Client } from "@aws-sdk/client-s3";
import { freePort } from "./broker-process.ts";
import { RunningProgram, runProgram } from "./program.ts";
import { toolCommand } from "./tools.ts";

/** The servers that `make tools` installs. */
export const s3ServerNames = ["versitygw", "minio"] as const;
/** One of them. */
export type S3ServerName = (typeof s3ServerNames)[number];

/** What every server here is told, and every client needs. */
export const s3Access = { accessKeyId: "testkey", secretAccessKey: "testsecret", region: "us-east-1" } as const;

/** What a server knows its one user by. */
export interface S3Keys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

interface Launch {
  readonly args: (port: number, folder: string, usersFolder: string) => readonly string[];
  readonly env: (keys: S3Keys) => Readonly<Record<string, string>>;
  readonly healthPath: string;
}

const launches: Readonly<Record<S3ServerName, Launch>> = {
  versitygw: {
    args: (port, folder, usersFolder) => {
      const server = ["--port", `127.0.0.1:${port}`, "--region", s3Access.region, "--health", "/healthz", "--quiet"];
      return [...server, "--iam-dir", usersFolder, "--iam-cache-disable", "posix", folder];
    },
    env: ({ accessKeyId, secretAccessKey }) => ({ ROOT_ACCESS_KEY: accessKeyId, ROOT_SECRET_KEY: secretAccessKey }),
    healthPath: "/healthz",
  },
  minio: {
    args: (port, folder) => ["server", folder, "--address", `127.0.0.1:${port}`, "--quiet"],
    env: ({ accessKeyId, secretAccessKey }) => ({
      MINIO_ROOT_USER: accessKeyId,
      MINIO_ROOT_PASSWORD: secretAccessKey,
      MINIO_BROWSER: "off",
    }),
    healthPath: "/minio/health/ready",
  },
};

/** A running server. */
export class S3Server {
  readonly name: S3ServerName;
  readonly bucket = "kafscale";
  readonly port: number;
  /** Where versitygw keeps the objects: a bucket is a folder in it, an object a file. */
  readonly folder = mkdtempSync(join(tmpdir(), "kafscale-e2e-s3-"));
  readonly #usersFolder = mkdtempSync(join(tmpdir(), "kafscale-e2e-s3-users-"));
  #program: RunningProgram;

  private constructor(name: S3ServerName, port: number) {
    this.name = name;
    this.port = port;
    this.#program = this.#launch(s3Access);
  }

  /** Starts a server and waits until it answers and has its bucket. */
  static async start(name: S3ServerName): Promise<S3Server> {
    const server = new S3Server(name, await freePort());
    await server.#waitUntilReady();
    const client = new S3Client({
      endpoint: server.endpoint,
      forcePathStyle: true,
      region: s3Access.region,
      credentials: s3Access,
    });
    await client.send(new CreateBucketCommand({ Bucket: server.bucket }));
    client.destroy();
    return server;
  }

  /** The address that clients are given. */
  get endpoint(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** What a broker is told to use this server. */
  get brokerEnv(): Readonly<Record<string, string>> {
    return {
      KAFSCALE_S3_BUCKET: this.bucket,
      KAFSCALE_S3_REGION: s3Access.region,
      KAFSCALE_S3_ENDPOINT: this.endpoint,
      KAFSCALE_S3_ACCESS_KEY: s3Access.accessKeyId,
      KAFSCALE_S3_SECRET_KEY: s3Access.secretAccessKey,
    };
  }

  /** The running process. */
  get program(): RunningProgram {
    return this.#program;
  }

  /** Ends the process and starts it again, perhaps with other keys: the old ones are refused from then on. */
  async restart(keys: S3Keys = s3Access): Promise<void> {
    await this.#program.stop("SIGTERM", 20_000);
    this.#program = this.#launch(keys);
    await this.#waitUntilReady();
  }

  /** Ends the process where it stands; {@link restart} starts it again on what it stored. */
  async killHard(): Promise<void> {
    this.#program.kill();
    await this.#program.waitForEnd(10_000);
  }

  async stop(): Promise<void> {
    await this.#program.stop("SIGTERM", 20_000);
    for (const folder of [this.folder, this.#usersFolder]) rmSync(folder, { recursive: true, force: true });
  }

  /** Lets versitygw know another user: `admin` may do everything, `user` nothing unless the bucket says so. */
  async addUser({ accessKeyId, secretAccessKey }: S3Keys, role: "admin" | "user"): Promise<void> {
    await this.#administer("create-user", "--access", accessKeyId, "--secret", secretAccessKey, "--role", role);
  }

  /** Makes versitygw refuse a user from now on. */
  async removeUser(accessKeyId: string): Promise<void> {
    await this.#administer("delete-user", "--access", accessKeyId);
  }

  async #administer(...args: readonly string[]): Promise<void> {
    const root = ["--access", s3Access.accessKeyId, "--secret", s3Access.secretAccessKey, "--region", s3Access.region];
    await runProgram(toolCommand("versitygw"), ["admin", ...root, "--endpoint-url", this.endpoint, ...args]);
  }

  #launch(keys: S3Keys): RunningProgram {
    const { args, env } = launches[this.name];
    return new RunningProgram(toolCommand(this.name), args(this.port, this.folder, this.#usersFolder), {
      env: env(keys),
    });
  }

  async #waitUntilReady(): Promise<void> {
    const deadline = Date.now() + 30_000;
    while (!(await this.#isReady())) {
      if (this.#program.hasEnded) throw new Error(`the S3 server ended\n${this.#program.describe()}`);
      if (Date.now() > deadline) throw new Error(`the S3 server was not ready in 30 s\n${this.#program.describe()}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  async #isReady(): Promise<boolean> {
    try {
      const { healthPath } = launches[this.name];
      const answer = await fetch(this.endpoint + healthPath, { signal: AbortSignal.timeout(2_000) });
      await answer.arrayBuffer();
      return answer.status === 200;
    } catch {
      return false;
    }
  }
}

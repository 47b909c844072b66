/** A real Iris for the flows, in a folder of its own. WEB_TEST_SERVER names the program; .venv/bin/iris by default. */

import { type ChildProcess, execFile, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const IRIS = process.env.WEB_TEST_SERVER ?? fileURLToPath(new URL("../../.venv/bin/iris", import.meta.url));

export class Server {
  private child: ChildProcess | undefined;
  readonly lines: string[] = [];

  private constructor(
    private readonly data: string,
    readonly port: number,
    private readonly flags: readonly string[],
  ) {}

  static async start(...flags: string[]): Promise<Server> {
    const server = new Server(mkdtempSync(join(tmpdir(), "iris-web-")), await freePort(), flags);
    await server.up();
    return server;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get pid(): number {
    return this.child?.pid ?? 0;
  }

  /** Starts it (again) on the same port and data, and waits until it serves. */
  async up(): Promise<void> {
    const given = ["serve", "--data", this.data, "--listen", `127.0.0.1:${this.port}`, "--password-profile", "cheap"];
    const limits = ["--set", "limits.logins_per_address_per_minute_max=10000"];
    const child = spawn(IRIS, [...given, ...limits, ...this.flags], { stdio: ["ignore", "pipe", "pipe"] });
    this.child = child;
    await new Promise<void>((resolve, reject) => {
      child.once("error", reject);
      child.once("exit", (code) => reject(new Error(`iris ended with ${code}: ${this.lines.join("\n")}`)));
      for (const stream of [child.stdout, child.stderr]) {
        if (stream === null) continue;
        createInterface({ input: stream }).on("line", (line) => {
          this.lines.push(line);
          if (line.includes("ready on")) resolve();
        });
      }
    });
  }

  /** What a command of the operator's prints. */
  iris(...words: string[]): Promise<string> {
    return new Promise((resolve, reject) => {
      execFile(IRIS, [...words, "--data", this.data], (error, printed) =>
        error === null ? resolve(printed.trim().split("\n")[0] ?? "") : reject(error),
      );
    });
  }

  /** kill -9, by its process id. */
  async kill(): Promise<void> {
    await this.end("SIGKILL");
  }

  async stop(): Promise<void> {
    await this.end("SIGTERM");
    rmSync(this.data, { recursive: true, force: true });
  }

  private async end(signal: NodeJS.Signals): Promise<void> {
    const child = this.child;
    this.child = undefined;
    if (child === undefined || child.exitCode !== null) return;
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill(signal);
    await gone;
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const address = probe.address();
      probe.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
    });
  });
}

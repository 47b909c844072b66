/** A real Iris server in a process of its own: `iris serve`, as shipped, on a free port of loopback. */

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const READY_MS = 60_000;

const own = join(ROOT, ".venv/bin/python");
const PYTHON = process.env.TEST_PYTHON ?? (existsSync(own) ? own : "python3");
const env = {
  ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("IRIS_"))),
  PYTHONPATH: [join(ROOT, "src"), process.env.PYTHONPATH ?? ""].join(":"),
};

/** Whether there is a server to test with; without one says so, and fails where TEST_SERVER_REQUIRED is set. */
export function serverThere(): boolean {
  const done = spawnSync(PYTHON, ["-c", "import iris._engine, iris.app, iris.cli, typer"], { env, encoding: "utf8" });
  if (done.status === 0) return true;
  const why = `SKIPPED: no Iris server to test with (${PYTHON} cannot import it): run make setup, or set TEST_PYTHON`;
  if (process.env.TEST_SERVER_REQUIRED !== undefined) throw new Error(why);
  process.stderr.write(`${why}\n`);
  return false;
}

export class Server {
  private readonly folder = mkdtempSync(join(tmpdir(), "iris-ts-"));
  private process: ChildProcess | undefined;
  private port = 0;
  private printed = "";

  constructor(private readonly flags: readonly string[] = []) {}

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Start and wait until it serves. The port stays the same from the first start on. */
  async start(): Promise<this> {
    const listen = `127.0.0.1:${this.port}`;
    const words = ["-m", "iris", "serve", "--data", join(this.folder, "data"), "--listen", listen];
    const child = spawn(PYTHON, [...words, "--password-profile", "cheap", "--log-level", "error", ...this.flags], {
      ...{ env, cwd: this.folder, stdio: ["ignore", "pipe", "pipe"] },
    });
    this.process = child;
    let late: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve, reject) => {
      const fail = () => reject(new Error(`iris serve did not start:\n${this.printed.slice(-4000)}`));
      late = setTimeout(fail, READY_MS);
      child.once("exit", fail);
      const hear = (data: Buffer) => {
        this.printed += data.toString();
        const ready = /iris: ready on ws:\/\/127\.0\.0\.1:(\d+)/.exec(this.printed);
        if (ready === null) return;
        this.port = Number(ready[1]);
        child.off("exit", fail);
        resolve();
      };
      child.stdout?.on("data", hear);
      child.stderr?.on("data", hear);
    }).finally(() => clearTimeout(late));
    this.printed = "";
    return this;
  }

  /** kill -9 */
  kill(): Promise<void> {
    return this.end("SIGKILL");
  }

  stop(): Promise<void> {
    return this.end("SIGTERM");
  }

  private async end(signal: NodeJS.Signals): Promise<void> {
    const child = this.process;
    this.process = undefined;
    if (child === undefined || child.exitCode !== null) return;
    await new Promise<void>((resolve) => {
      child.once("exit", () => resolve());
      child.kill(signal);
    });
  }

  async close(): Promise<void> {
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

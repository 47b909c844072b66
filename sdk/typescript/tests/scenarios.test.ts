/** The TypeScript core passes every conformance scenario of sdk/scenarios. */

import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { LIMITS, type Limits } from "../src/catalogue.js";
import { ClientCore, type Saved } from "../src/core/client.js";
import type { ServerFrame } from "../src/core/frames.js";

const FOLDER = new URL("../../scenarios/", import.meta.url);

interface Step {
  at: number;
  do: Record<string, never>;
  then: unknown[];
  state: string;
  next: number | null;
}
interface Scenario {
  name: string;
  saved: Saved;
  limits?: Partial<Limits>;
  steps: Step[];
}

// biome-ignore lint/suspicious/noExplicitAny: the scenarios' inputs are what the table below says
const INPUTS: Record<string, (core: ClientCore, at: number, given: any) => void> = {
  start: (core) => core.start(),
  stop: (core) => core.stop(),
  queued: (core, at, given) => core.queued(given.messages, at),
  want_read: (core, at, given) => core.wantRead(given.conversation, given.seq, at),
  typing: (core, _, given) => core.setTyping(given.conversation, given.active),
  watch: (core, _, given) => core.watch(given.users),
  token: (core, _, given) => core.token(given.token),
  token_unavailable: (core, at, given) => core.tokenUnavailable(at, given.jitter),
  logged_out: (core) => core.loggedOut(),
  opened: (core, _, given) => core.opened(given.greeted ?? false),
  lost: (core, at, given) => core.lost(given.code ?? undefined, at, given.jitter),
  committed: (core, at, given) => core.committed(given.number, at),
  receive: (core, at, given) => core.receive(given.frame as ServerFrame, at),
  tick: (core, at, given) => core.tick(at, given.jitter),
};

function run(core: ClientCore, step: Step): Omit<Step, "at" | "do"> {
  const [name, given] = Object.entries(step.do)[0] ?? ["", {}];
  INPUTS[name]?.(core, step.at, given);
  const then: unknown[] = [];
  for (let effect = core.poll(); effect !== undefined; effect = core.poll()) then.push(effect);
  return { then, state: core.state, next: core.nextTimeout() ?? null };
}

const files = readdirSync(FOLDER).filter((name) => name.endsWith(".json"));

describe("conformance scenarios", () => {
  it("are there", () => expect(files.length).toBeGreaterThan(25));

  it.each(files)("%s", (file) => {
    const scenario: Scenario = JSON.parse(readFileSync(new URL(file, FOLDER), "utf8"));
    const core = new ClientCore(scenario.saved, { ...LIMITS, ...scenario.limits });
    for (const [number, step] of scenario.steps.entries()) {
      const { then, state, next } = step;
      expect(run(core, step), `step ${number}: ${JSON.stringify(step.do)}`).toEqual({ then, state, next });
    }
  });
});

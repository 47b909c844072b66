/** The whole client: starting, nobody logged in, or a session. */

import type { IrisClient, IrisClients, OpenOptions } from "@iris-im/sdk";
import { signal } from "@preact/signals-core";
import { AuthModel } from "./auth.js";
import type { Ports } from "./ports.js";
import { PreferencesModel } from "./preferences.js";
import { SessionModel } from "./session.js";

export type Phase =
  | { readonly kind: "starting" }
  | { readonly kind: "failed"; readonly reason: string }
  | { readonly kind: "out"; readonly auth: AuthModel; readonly revoked: boolean }
  | { readonly kind: "in"; readonly session: SessionModel };

export class AppModel {
  readonly phase = signal<Phase>({ kind: "starting" });
  readonly preferences: PreferencesModel;
  /** A newer version of the page is kept and waits. */
  readonly updateReady = signal(false);

  constructor(
    private readonly clients: IrisClients,
    private readonly options: OpenOptions,
    readonly ports: Ports,
  ) {
    this.preferences = new PreferencesModel(ports);
  }

  async start(): Promise<void> {
    try {
      const kept = await this.clients.profile(this.options);
      if (kept === undefined) await this.showAuth(false);
      else await this.enter(await this.clients.open(this.options));
    } catch (error) {
      this.phase.value = { kind: "failed", reason: error instanceof Error ? error.message : String(error) };
    }
  }

  /** The log-in screen; a profile that is kept here is named there. */
  async showAuth(revoked: boolean): Promise<void> {
    const kept = await this.clients.profile(this.options);
    const auth = new AuthModel(
      this.clients,
      this.options,
      this.ports.deviceName,
      kept,
      (client) => void this.enter(client),
    );
    this.phase.value = { kind: "out", auth, revoked };
    await auth.start();
  }

  private async enter(client: IrisClient): Promise<void> {
    const session = new SessionModel(
      client,
      this.preferences,
      this.ports,
      (why) => void this.showAuth(why === "revoked"),
    );
    this.phase.value = { kind: "in", session };
    await session.start();
  }
}

/** The whole client: starting, nobody logged in, or a session. */

import type { IrisClient, IrisClients, OpenOptions } from "@iris-im/sdk";
import { signal } from "@preact/signals-core";
import { t } from "../i18n/index.js";
import { AuthModel } from "./auth.js";
import { type OpenedLink, parseLink } from "./linking.js";
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
  private link: OpenedLink | undefined;

  constructor(
    private readonly clients: IrisClients,
    private readonly options: OpenOptions,
    readonly ports: Ports,
  ) {
    this.preferences = new PreferencesModel(ports);
  }

  async start(): Promise<void> {
    this.ports.address.onChange(() => this.takeLink());
    this.takeLink();
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
    this.useLink();
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
    this.useLink();
  }

  /** A link with a code was opened. The code does not stay in the address bar, nor in the history. */
  private takeLink(): void {
    const link = parseLink(this.ports.address.current());
    if (link === undefined) return;
    this.ports.address.go("/", true);
    this.link = link;
    this.useLink();
  }

  private useLink(): void {
    const { link } = this;
    const phase = this.phase.value;
    if (link === undefined || (phase.kind !== "out" && phase.kind !== "in")) return;
    this.link = undefined;
    if (phase.kind === "out") phase.auth.useLink(link);
    else phase.session.dialog.tell(t("link.already", { handle: phase.session.client.handle }));
  }
}

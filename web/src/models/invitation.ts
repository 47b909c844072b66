/** What somebody pastes as their invitation: the code, or the whole line that `iris invite` prints. Pure. */

const LINE =
  /iris:\/\/(?<host>\[[0-9a-f:.]+\]|[a-z0-9.-]+):(?<port>\d{1,5})\/(?<code>[\w-]{1,64})(?:\/(?<pin>[0-9a-f]{64}))?\/?$/i;
const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;
const PORTS: Readonly<Record<string, string>> = { "http:": "80", "https:": "443" };

export type Invitation =
  | { readonly kind: "code"; readonly code: string }
  /** The line is for the server at this address. */
  | { readonly kind: "elsewhere"; readonly url: string }
  /** It begins like a line and is none. */
  | { readonly kind: "broken" };

/** `here`: the origin of this page. */
export function readInvitation(text: string, here: string): Invitation {
  const given = text.trim().replace(/^iris\s+join\s+/, "");
  if (!/iris:\/\//i.test(given)) return { kind: "code", code: given };
  const { host = "", port = "", code = "", pin } = LINE.exec(given)?.groups ?? {};
  if (code === "" || !given.toLowerCase().startsWith("iris://")) return { kind: "broken" };
  const page = new URL(here);
  const same = host.toLowerCase() === page.hostname && port === (page.port || PORTS[page.protocol]);
  if (same) return { kind: "code", code };
  const scheme = LOOPBACK.test(host) && pin === undefined ? "http" : "https";
  return { kind: "elsewhere", url: `${scheme}://${host}:${port}/` };
}

/** Where a server is, and whether it may be spoken to: TLS, or plain on loopback. */

import { ProfileError } from "./errors.js";

export interface Address {
  /** Begins every URL of the API: https://chat.example.org */
  readonly apiUrl: string;
  readonly connectUrl: string;
}

const SCHEMES: Readonly<Record<string, boolean>> = { "http:": false, "ws:": false, "https:": true, "wss:": true };

/** The address in a server's URL: http, https, ws or wss. Throws ProfileError. */
export function parseServer(server: string): Address {
  let url: URL;
  try {
    url = new URL(server.includes("://") ? server : `https://${server}`);
  } catch {
    throw refused(server);
  }
  const tls = SCHEMES[url.protocol];
  const plainPath = url.pathname === "" || url.pathname === "/";
  if (tls === undefined || url.hostname === "" || !plainPath || url.search !== "" || url.username !== "") {
    throw refused(server);
  }
  if (!tls && !isLoopback(url.hostname)) {
    throw new ProfileError(`${server}: without TLS only a server on this machine (loopback) is spoken to`);
  }
  return {
    apiUrl: `${tls ? "https" : "http"}://${url.host}`,
    connectUrl: `${tls ? "wss" : "ws"}://${url.host}/v1/connect`,
  };
}

const refused = (server: string) =>
  new ProfileError(`"${server}" is not a server address such as https://chat.example.org`);

const isLoopback = (host: string): boolean =>
  host === "localhost" || host === "[::1]" || /^127\.\d+\.\d+\.\d+$/.test(host);

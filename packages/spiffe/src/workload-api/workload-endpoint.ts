import { isIP, type NetConnectOpts } from 'node:net';
import { SpiffeError } from '../spiffe-error.ts';
import { excerpt } from '../spiffe-id.ts';

/** The variable of the environment by which a workload finds the API. */
export const WORKLOAD_ENDPOINT_VARIABLE = 'SPIFFE_ENDPOINT_SOCKET';

/**
 * Reads the address of a Workload API: `unix:///run/spire/agent.sock` or `tcp://127.0.0.1:8000`.
 *
 * @returns what `net.connect` takes
 * @throws {SpiffeError} `ERR_SPIFFE_WORKLOAD_ENDPOINT`
 * @see SPIFFE Workload Endpoint §4
 */
export function parseWorkloadEndpoint(text: string): NetConnectOpts {
  const [, path] = /^unix:(?:\/\/)?(\/[^?#]*)$/.exec(text) ?? [];
  // `unix:/path` says the same as `unix:///path`; a name between the slashes would be an authority, and is refused.
  if (path !== undefined && path !== '/' && !path.startsWith('//') && !path.includes('\0')) {
    return { path };
  }
  const [, host = '', digits = ''] = /^tcp:\/\/(\[[^\]]+\]|[^:/?#@]+):(\d{1,5})$/.exec(text) ?? [];
  const address = host.replace(/^\[(.*)\]$/, '$1');
  const port = Number(digits);
  // §4: an IP address, never a name that somebody else resolves.
  const isBracketed = address !== host;
  if (isIP(address) === (isBracketed ? 6 : 4) && port >= 1 && port <= 65_535) {
    return { host: address, port };
  }
  throw new SpiffeError(
    'ERR_SPIFFE_WORKLOAD_ENDPOINT',
    `could not read workload endpoint: found ${excerpt(text)}, expected unix:///absolute/path or tcp://<ip address>:<port>`,
  );
}

import { isIP } from 'node:net';
import type { Place } from '../document/report.ts';
import type { HostPort } from '../repository.ts';
import type { WrittenConfig } from './read-config.ts';
import type { CheckContext } from './repository-source.ts';

/** Two sockets cannot share an address; port 0 lets the system choose and never collides. */
export function checkAddresses(config: WrittenConfig, { report }: CheckContext): void {
  const taken: { address: HostPort; who: string }[] = [];
  const take = (address: HostPort, who: string, place: Place) => {
    const other = taken.find((known) => collide(known.address, address));
    if (other) {
      report.error(place, {
        found: `${isIP(address.host) === 6 ? `[${address.host}]` : address.host}:${address.port} a second time`,
        expected: `an address of its own: ${other.who} listens there`,
        mend: 'change one of the two ports',
      });
    }
    taken.push({ address, who });
  };
  const { document, authority } = config;
  if (document && authority) {
    take(authority.control, 'the authority (control)', document.at(['authority', 'control']));
    take(authority.issuer, 'the authority (issuer)', document.at(['authority', 'issuer']));
  }
  if (document && authority?.devices?.webhooks) {
    const place = document.at(['authority', 'devices', 'webhooks', 'address']);
    take(authority.devices.webhooks.address, 'the authority (posture webhooks)', place);
  }
  for (const point of config.points) {
    for (const [index, { name, address }] of point.value.listeners.entries()) {
      take(
        address,
        `${point.name}/${name}`,
        point.document.at([...point.path, 'listeners', index, 'address']),
      );
    }
  }
}

function collide(a: HostPort, b: HostPort): boolean {
  if (a.port !== b.port || a.port === 0) return false;
  const [left, right] = [hostName(a.host), hostName(b.host)];
  // A wildcard takes the port on every address of the machine.
  return left === right || left === '*' || right === '*';
}

function hostName(host: string): string {
  if (host === '0.0.0.0' || (isIP(host) === 6 && /^[0:]+$/.test(host))) return '*';
  return host.toLowerCase() === 'localhost' ? '127.0.0.1' : host.toLowerCase();
}

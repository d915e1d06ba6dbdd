import type { DeviceReport } from './device.ts';
import type { Devices } from './devices.ts';

/** A person's own devices, for the page where they see and end what is theirs. */
export interface OwnDevices {
  of(person: string): readonly DeviceReport[];
  /** Its certificate and key are good nowhere any more, until the operator restores it. False for one that is not theirs. */
  end(id: string, person: string): Promise<boolean>;
}

/** Those of which a person is the owner; what several share nobody ends here. */
export function ownDevices(devices: Pick<Devices, 'list' | 'revoke'>): OwnDevices {
  const of = (person: string) => devices.list().filter(({ owner }) => owner === person);
  return {
    of,
    async end(id, person) {
      const device = of(person).find((each) => each.id === id && each.state !== 'revoked');
      if (device === undefined) return false;
      const reason = 'ended by its owner';
      const name = device.id.replace(/^spiffe:\/\/[^/]+\/device\//, '');
      return (await devices.revoke(name, { reason, by: person })).isGranted;
    },
  };
}

import type { DeviceSettings, PostureSource } from '@countersign/identity';
import type { Signal } from '@countersign/model';
import { certificateRequest, softwareSigner } from '@countersign/spiffe';
import {
  type Answer,
  id,
  newKey,
  post,
  registration,
  startAuthority,
  svidRequest,
  type TestAuthority,
} from '../authority.ts';

export const BY = 'local:uid=0';
export const LAPTOP = id('device/alice-laptop');

export type Keys = ReturnType<typeof newKey>;

/** An authority with devices: settings that a test may change, and what was said of compliance. */
export interface DeviceBank extends TestAuthority {
  settings: DeviceSettings;
  readonly signals: Signal[];
  /** Registers a device and answers its code. */
  code(name: string, more?: object): Promise<string>;
  enrol(code: string, keys?: Keys): Promise<Answer>;
  renew(
    keys: Keys,
    options?: { readonly spiffeId?: string; readonly claims?: object },
  ): Promise<Answer>;
  fact(name: string): Record<string, unknown> | undefined;
}

export const source = (name: string, more: Partial<PostureSource> = {}): PostureSource => ({
  ...{ name, format: 'countersign', assurance: 'managed' },
  ...more,
});

export async function openDevices(more: Partial<DeviceSettings> = {}): Promise<DeviceBank> {
  const signals: Signal[] = [];
  const holder: { settings: DeviceSettings } = {
    settings: {
      certificateTtlSeconds: 600,
      absenceSeconds: 7 * 86_400,
      posture: { maxAgeSeconds: 3600, signals: {}, sources: [] },
      ...more,
    },
  };
  const authority = await startAuthority(
    { devices: () => holder.settings, caLifetimeSeconds: 60 * 86_400 },
    { onCompliance: async (signal) => void signals.push(signal) },
  );
  const { identity, controlUrl } = authority;
  await identity.applyRegistrations([registration('human/alice'), registration('human/bob')], []);
  const bank = Object.assign(authority, {
    signals,
    async code(name: string, options: object = {}) {
      const made = await identity.devices.enrolment({ name, by: BY, ...options });
      if (!made.isGranted) throw new Error(`${made.code}: ${made.detail}`);
      return made.code;
    },
    async enrol(code: string, keys: Keys = newKey()) {
      const request = await certificateRequest(softwareSigner(keys), { commonName: 'laptop' });
      return post(authority, `${controlUrl}/v1/devices/enrol`, { json: { code, request } });
    },
    async renew(keys: Keys, { spiffeId = LAPTOP, claims = {} } = {}) {
      const iat = Math.floor(authority.now() / 1000);
      const request = await svidRequest(keys, { claims: { sub: spiffeId, iat, ...claims } });
      return post(authority, `${controlUrl}/v1/devices/renew`, { json: { spiffeId, request } });
    },
    fact: (name: string) =>
      authority.factLog.get(`device ${id(`device/${name}`)}`) as
        | Record<string, unknown>
        | undefined,
  });
  return Object.defineProperty(bank, 'settings', {
    get: () => holder.settings,
    set: (next: DeviceSettings) => {
      holder.settings = next;
    },
  }) as unknown as DeviceBank;
}

/** What the record says of the last refusal. */
export function refusedFor(bank: TestAuthority): string | undefined {
  const event = bank.events.findLast(({ kind }) => kind === 'authentication');
  return event?.kind === 'authentication' ? event.reason : undefined;
}

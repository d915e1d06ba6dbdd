import type { KeyObject } from 'node:crypto';
import { certificateRequest, encodePem, softwareSigner } from '@countersign/spiffe';
import { type ControlApi, postAsKnown } from './control-api.ts';
import { checkIdentity, parseUncheckedIdentity } from './identity-document.ts';
import { svidRequest } from './svid-request.ts';
import type { FactKey } from './trust-bundle.ts';

/** The key of a device: P-256. */
export interface DeviceKeys {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

/** The certificate of a device, for its enrolled key. */
export interface DeviceCertificate {
  readonly spiffeId: string;
  /** Certificate chain, leaf first, PEM. */
  readonly certificatePem: string;
  /** The X.509 authorities of the trust domain, PEM. */
  readonly authoritiesPem: string;
  readonly notAfterMs: number;
  readonly renewAfterMs: number;
}

interface DeviceOptions {
  /** The authority's control listener. */
  readonly authorityUrl: string;
  readonly trustDomain: string;
  /** DER. */
  readonly x509Authorities: readonly Uint8Array[];
  readonly factKeys: readonly FactKey[];
  readonly keys: DeviceKeys;
  readonly now: () => number;
}

/** What enrolling takes. */
export interface DeviceEnrolmentOptions extends DeviceOptions {
  /** Good once; the operator makes it with `countersign device enrol`. */
  readonly code: string;
}

/** What renewing takes. */
export interface DeviceRenewalOptions extends DeviceOptions {
  readonly spiffeId: string;
}

/**
 * Enrols a device: its key is bound to it from now on.
 *
 * @throws {SdkError} `ERR_SDK_AUTHORITY_UNREACHABLE`, `ERR_SDK_AUTHORITY_REFUSED`, `ERR_SDK_ANSWER_INVALID`
 */
export async function enrolDevice(options: DeviceEnrolmentOptions): Promise<DeviceCertificate> {
  const { code, keys } = options;
  const request = await certificateRequest(softwareSigner(keys), { commonName: 'device' });
  return ask(options, '/v1/devices/enrol', { code, request });
}

/**
 * Gets the next certificate for the key that the device enrolled with, also after the last one ended.
 *
 * @throws {SdkError} as {@link enrolDevice}
 */
export async function renewDevice(options: DeviceRenewalOptions): Promise<DeviceCertificate> {
  const { spiffeId, keys, trustDomain, now } = options;
  const request = svidRequest(keys, { trustDomain, subject: spiffeId, nowMs: now() });
  return ask(options, '/v1/devices/renew', { spiffeId, request });
}

async function ask(options: DeviceOptions, path: string, body: object): Promise<DeviceCertificate> {
  const { authorityUrl, trustDomain, x509Authorities, factKeys, keys, now } = options;
  const api: ControlApi = {
    ...{ authorityUrl, trustDomain, factKeys, now, extra: undefined },
    authoritySpiffeId: `spiffe://${trustDomain}/workload/countersign/authority`,
  };
  const text = await postAsKnown(api, path, { body, authorities: x509Authorities });
  const code = 'ERR_SDK_ANSWER_INVALID';
  // INVARIANT: the certificate is for the key that asked, by an authority of this trust domain.
  const { spiffeId, chain, authorities, notAfterMs, renewAfterMs } = checkIdentity(
    parseUncheckedIdentity(text, code),
    {
      keyPem: keys.privateKey.export({ format: 'pem', type: 'pkcs8' }) as string,
      ...{ trustDomain, now, code },
    },
  );
  return {
    ...{ spiffeId, notAfterMs, renewAfterMs },
    certificatePem: encodePem(chain),
    authoritiesPem: encodePem(authorities),
  };
}

import type { Acr, Clock } from '@countersign/model';
import type { Database, Transaction } from '@countersign/state';
import {
  type AuthenticationResponseJSON,
  generateAuthenticationOptions,
  generateRegistrationOptions,
  type RegistrationResponseJSON,
  verifyRegistrationResponse,
} from '@simplewebauthn/server';
import type { PersonCredentials } from '../customers/person-credentials.ts';
import { exceptionFor, type LoginSettings } from '../login/login-settings.ts';
import { hardwareFault } from './attestation.ts';
import type { Ceremonies, CeremonyPurpose } from './ceremonies.ts';
import {
  disablePasskey,
  findPasskey,
  handleOf,
  insertPasskey,
  type Passkey,
  passkeysOf,
  takeCounter,
} from './passkey-rows.ts';
import { COSE_ALGORITHMS, challengeOf, verifyLogin } from './verify-login.ts';

/** Passkeys that one person may have. */
const PASSKEYS_MAX = 20;
/** How long the browser waits for the person. */
const TIMEOUT_MILLISECONDS = 120_000;

/** A person who proved to hold a passkey and to be its user. */
export interface PasskeyLogin {
  readonly kind: 'person';
  /** SPIFFE ID. */
  readonly subject: string;
  readonly acr: Acr;
  /** RFC 8176. */
  readonly amr: readonly string[];
  readonly credentialId: string;
  /** Whose exception to the tier made it so; the reason it gives. */
  readonly exception?: string;
}

/** Why nobody was signed in, or nothing registered: for the record, never for who asked. */
export interface PasskeyRefusal {
  readonly kind: 'refused';
  readonly reason:
    | 'passkey-unknown'
    | 'passkey-invalid'
    | 'passkey-disabled'
    | 'passkey-cloned'
    | 'passkey-registration'
    | 'subject-disabled'
    | 'subject-revoked';
  readonly detail: string;
  /** SPIFFE ID, where the passkey is known. */
  readonly subject?: string;
}

/** What the passkeys are judged with. */
export interface PasskeysOptions {
  readonly database: Database;
  readonly credentials: PersonCredentials;
  readonly ceremonies: Ceremonies;
  readonly settings: () => LoginSettings;
  /** The issuer's own origin: the only one where people sign in and register. */
  readonly origin: string;
  /** Why a subject gets nothing now. */
  readonly standingOf: (
    subject: string,
  ) => Promise<'subject-disabled' | 'subject-revoked' | undefined>;
  readonly now: Clock;
}

/** What a challenge is made for. */
export interface Binding {
  readonly purpose: CeremonyPurpose;
  readonly boundTo: string;
  /** The address that asks, by which challenges that wait are bounded. */
  readonly ip?: string;
}

/** People's passkeys: registering them, and signing in with them. */
export class Passkeys {
  readonly #options: PasskeysOptions;

  constructor(options: PasskeysOptions) {
    this.#options = options;
  }

  list(subject: string): Promise<readonly Passkey[]> {
    return passkeysOf(this.#options.database, subject);
  }

  find(credentialId: string): Promise<Passkey | undefined> {
    return findPasskey(this.#options.database, credentialId);
  }

  /** What the browser is asked to make a passkey with. */
  async registrationOptions(
    subject: string,
    { isHardware, ...binding }: Binding & { readonly isHardware: boolean },
  ): Promise<unknown> {
    const { database, ceremonies, settings } = this.#options;
    const { rpId, name } = settings();
    const mine = await passkeysOf(database, subject);
    const challenge = await ceremonies.begin(binding.purpose, boundTo(binding, isHardware), {
      ip: binding.ip,
    });
    return generateRegistrationOptions({
      rpName: name,
      rpID: rpId,
      userName: nameOf(subject),
      userDisplayName: nameOf(subject),
      userID: Buffer.from(await handleOf(database, subject), 'base64url'),
      challenge: Buffer.from(challenge, 'base64url'),
      timeout: TIMEOUT_MILLISECONDS,
      attestationType: isHardware ? 'direct' : 'none',
      excludeCredentials: mine
        .filter(({ disabledAtMs }) => disabledAtMs === undefined)
        .map(({ credentialId, transports }) => ({
          id: credentialId,
          transports: transports as AuthenticatorTransport[],
        })),
      authenticatorSelection: { residentKey: 'required', userVerification: 'required' },
      supportedAlgorithmIDs: [...COSE_ALGORITHMS],
    });
  }

  /** Whether a person may register only what the bank listed as hardware. */
  mustBeHardware(subject: string): boolean {
    const { settings, now } = this.#options;
    const exception = exceptionFor(settings(), {
      person: subject,
      allows: 'unattested-key',
      nowMs: now(),
    });
    return settings().administrators.includes(subject) && exception === undefined;
  }

  /** Registers what the browser made; the callers do this one at a time. */
  async register(
    subject: string,
    request: Binding & {
      readonly response: RegistrationResponseJSON;
      readonly isHardware: boolean;
      readonly label: string;
      readonly by: string;
      readonly also?: (transaction: Transaction) => Promise<void>;
    },
  ): Promise<PasskeyRefusal | { readonly kind: 'registered'; readonly passkey: Passkey }> {
    const { credentials, ceremonies, settings, origin, standingOf, now } = this.#options;
    const { response, isHardware, label, by, also, ...binding } = request;
    const refuse = (detail: string) => refused('passkey-registration', detail, subject);
    const fault = await standingOf(subject);
    if (fault !== undefined) return refused(fault, 'it gets no passkey', subject);
    if (this.mustBeHardware(subject) && !isHardware) {
      return refuse('an administrator registers hardware keys only');
    }
    const mine = await this.list(subject);
    if (mine.filter(({ disabledAtMs }) => disabledAtMs === undefined).length >= PASSKEYS_MAX) {
      return refuse(`found ${PASSKEYS_MAX} passkeys already`);
    }
    const challenge = challengeOf(response.response.clientDataJSON);
    const isOurs = await ceremonies.end(challenge ?? '', {
      purpose: binding.purpose,
      boundTo: boundTo(binding, isHardware),
    });
    if (challenge === undefined || !isOurs)
      return refuse('found no challenge of ours, or one used');
    const { rpId, approvalOrigins, hardwareKeys } = settings();
    let info: Extract<
      Awaited<ReturnType<typeof verifyRegistrationResponse>>,
      { verified: true }
    >['registrationInfo'];
    try {
      const verified = await verifyRegistrationResponse({
        response,
        expectedChallenge: challenge,
        expectedOrigin: origin,
        expectedRPID: rpId,
        requireUserVerification: true,
        supportedAlgorithmIDs: [...COSE_ALGORITHMS],
      });
      if (!verified.verified) return refuse('found a bad attestation signature');
      info = verified.registrationInfo;
    } catch (error) {
      return refuse(error instanceof Error ? error.message.slice(0, 500) : 'it cannot be read');
    }
    const { aaguid, credential, credentialDeviceType, fmt, attestationObject } = info;
    const isSingleDevice = credentialDeviceType === 'singleDevice';
    if (isHardware) {
      const proof = { fmt, aaguid, isSingleDevice, attestationObject };
      const lack = hardwareFault(proof, hardwareKeys, now());
      // Refused, not taken as less: whoever registers a hardware key relies on its being one.
      if (lack !== undefined) return refuse(lack);
    }
    const passkey: Passkey = {
      credentialId: credential.id,
      subject,
      acr: isHardware ? 'phrh' : 'phr',
      aaguid,
      isSynced: !isSingleDevice,
      transports: (credential.transports ?? []).map(String).slice(0, 8),
      label,
      signCount: credential.counter,
      createdAtMs: now(),
    };
    const result = await credentials.register(
      {
        credentialId: credential.id,
        publicKey: Buffer.from(credential.publicKey).toString('base64url'),
        rpId,
        origins: [origin, ...approvalOrigins],
        subject,
      },
      by,
      {
        detail: { acr: passkey.acr, aaguid, isSynced: passkey.isSynced },
        also: async (transaction) => {
          await insertPasskey(transaction, passkey);
          await also?.(transaction);
        },
      },
    );
    if (!result.isGranted) return refuse(`${result.code}: ${result.detail}`);
    return { kind: 'registered', passkey };
  }

  /** What the browser is asked to sign in with: any passkey of ours, or those of one person, all or that reach a level. */
  async loginOptions({
    only,
    challenge: over,
    ...binding
  }: Binding & {
    /** Base64url; made over what is to be signed. Random if not said. */
    readonly challenge?: string;
    readonly only?: { readonly subject: string; readonly acr?: Acr };
  }): Promise<unknown> {
    const { ceremonies, settings } = this.#options;
    const challenge = await ceremonies.begin(binding.purpose, binding.boundTo, {
      ...{ challenge: over, ip: binding.ip },
    });
    const mine = only ? await this.list(only.subject) : [];
    return generateAuthenticationOptions({
      rpID: settings().rpId,
      challenge: Buffer.from(challenge, 'base64url'),
      timeout: TIMEOUT_MILLISECONDS,
      userVerification: 'required',
      allowCredentials: mine
        .filter(({ disabledAtMs }) => disabledAtMs === undefined)
        .filter(({ acr }) => only?.acr === undefined || acr === only.acr)
        .map(({ credentialId, transports }) => ({
          id: credentialId,
          transports: transports as AuthenticatorTransport[],
        })),
    });
  }

  /** Who signed the challenge. */
  async login(
    response: AuthenticationResponseJSON,
    binding: Binding,
  ): Promise<PasskeyLogin | PasskeyRefusal> {
    const { database, ceremonies, credentials, settings, origin, standingOf, now } = this.#options;
    const passkey = await this.find(response.id);
    const credential = await credentials.get(response.id);
    const isKnown = passkey !== undefined && credential !== undefined;
    const subject = passkey?.subject;
    const challenge = challengeOf(response.response.clientDataJSON);
    const isOurs = await ceremonies.end(challenge ?? '', binding);
    const verified = await verifyLogin(response, {
      challenge: challenge ?? '',
      origin,
      rpId: settings().rpId,
      publicKey: isKnown ? credential.publicKey : undefined,
    });
    if (!isKnown && passkey?.disabledAtMs === undefined) {
      return refused('passkey-unknown', 'found no such passkey', subject);
    }
    if (challenge === undefined || !isOurs) {
      return refused('passkey-invalid', 'found no challenge of ours, or one used', subject);
    }
    if (passkey?.disabledAtMs !== undefined) {
      return refused('passkey-disabled', `disabled: ${passkey.disabledReason}`, subject);
    }
    if (passkey === undefined || subject === undefined) {
      return refused('passkey-unknown', 'found no such passkey');
    }
    if ('fault' in verified) return refused('passkey-invalid', verified.fault, subject);
    const { userHandle } = response.response;
    if (userHandle !== undefined && userHandle !== (await handleOf(database, subject))) {
      return refused('passkey-invalid', "found another person's user handle", subject);
    }
    if (verified.isSynced !== passkey.isSynced) {
      // WebAuthn Level 3 §6.1.3: whether a credential may be copied never changes.
      return refused('passkey-invalid', 'found another backup eligibility', subject);
    }
    const { counter } = verified;
    if (!(await takeCounter(database, { credentialId: response.id, counter, nowMs: now() }))) {
      const detail = `found counter ${counter}, expected more than ${passkey.signCount}`;
      return refused('passkey-cloned', detail, subject);
    }
    const fault = await standingOf(subject);
    if (fault !== undefined) return refused(fault, 'it gets no session', subject);
    return { kind: 'person', subject, credentialId: response.id, ...(await this.#level(passkey)) };
  }

  /** Why a login is good no more that was good when it was shown: the person, or the passkey, is out meanwhile. */
  async overtaken({
    subject,
    credentialId,
  }: Pick<PasskeyLogin, 'subject' | 'credentialId'>): Promise<PasskeyRefusal | undefined> {
    const { database, standingOf } = this.#options;
    const fault = await standingOf(subject);
    if (fault !== undefined) return refused(fault, 'since it signed in', subject);
    const passkey = await findPasskey(database, credentialId);
    return passkey?.disabledAtMs === undefined
      ? undefined
      : refused('passkey-disabled', `disabled since: ${passkey.disabledReason}`, subject);
  }

  /** From now on the passkey signs nobody in; within what else is done about it. */
  disable(transaction: Transaction, credentialId: string, reason: string): Promise<void> {
    return disablePasskey(transaction, { credentialId, reason, nowMs: this.#options.now() });
  }

  /** `phrh` takes a hardware key, and a second one enrolled: with one alone, losing it is being locked out. */
  async #level(passkey: Passkey): Promise<Pick<PasskeyLogin, 'acr' | 'amr' | 'exception'>> {
    const { settings, now } = this.#options;
    // RFC 8176 §2: possession (pop), by hardware (hwk), user verified by the authenticator (user): two factors (mfa).
    const amr = ['pop', 'user', 'mfa'];
    if (passkey.acr !== 'phrh') return { acr: 'phr', amr };
    const all = await this.list(passkey.subject);
    const hardware = all.filter(
      ({ acr, disabledAtMs }) => acr === 'phrh' && disabledAtMs === undefined,
    );
    if (hardware.length >= 2) return { acr: 'phrh', amr: ['hwk', ...amr] };
    const exception = exceptionFor(settings(), {
      person: passkey.subject,
      allows: 'single-key',
      nowMs: now(),
    });
    return exception
      ? { acr: 'phrh', amr: ['hwk', ...amr], exception: exception.reason }
      : { acr: 'phr', amr: ['hwk', ...amr] };
  }
}

type AuthenticatorTransport =
  | 'ble'
  | 'cable'
  | 'hybrid'
  | 'internal'
  | 'nfc'
  | 'smart-card'
  | 'usb';

function boundTo(binding: Binding, isHardware: boolean): string {
  return isHardware ? `hardware ${binding.boundTo}` : binding.boundTo;
}

function refused(
  reason: PasskeyRefusal['reason'],
  detail: string,
  subject?: string,
): PasskeyRefusal {
  return { kind: 'refused', reason, detail, ...(subject !== undefined && { subject }) };
}

/** `alice` of `spiffe://bank.example/human/alice`. */
export function nameOf(subject: string): string {
  return subject.replace(/^spiffe:\/\/[^/]+\/[^/]+\//, '');
}

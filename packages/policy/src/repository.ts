import type {
  Acr,
  Amr,
  Assurance,
  DecisionEvent,
  DetailType,
  EntityUid,
  EventKind,
  FederationPartner,
  JoinRule,
  Keep,
  Playbook,
  PostureSignal,
  Registration,
  RetentionClass,
  Surface,
} from '@countersign/model';
import type { PeopleSettings } from './people-settings.ts';
import type { AttributeTypes } from './schema/attribute-types.ts';
import type { EntityVocabulary } from './schema/entity-vocabulary.ts';

/** `countersign.yaml`, parsed: every default filled in, every path absolute. */
export interface BankConfig {
  readonly trustDomain: string;
  readonly authority: {
    readonly control: HostPort;
    readonly issuer: HostPort;
    readonly issuerUrl: string;
    /** What the issuer's listener shows; absent: the authority's SVID. */
    readonly issuerCertificate?: CertificateFiles;
    readonly svidTtlSeconds: number;
    readonly ca: CaConfig;
    readonly accessTokenTtlSeconds: number;
    /** File that holds the passphrase of the keys at rest; absent: made in the data folder. */
    readonly passphraseFile?: string;
    /** How old a baseline event may be replayed from, and where (NDJSON of events); labelled `replayed`. */
    readonly historyFile?: string;
    /** Who cosigns the authority's checkpoints. */
    readonly witnesses: readonly WitnessConfig[];
    /** How many of them must have cosigned a checkpoint; 0 where there are none. */
    readonly witnessQuorum: number;
    /** Where events are exported to; absent when there is nowhere. */
    readonly exports?: readonly ExportConfig[];
    /** Where the trust domain's bundle is served to partners; absent when nowhere. */
    readonly bundleEndpoints?: readonly BundleEndpointConfig[];
    /** Signals in and out; absent when there are none. */
    readonly signals?: SignalsConfig;
    /** Devices; absent where nothing is said of them. */
    readonly customers?: CustomersConfig;
    readonly devices?: DevicesConfig;
    /** Where the authority's metrics are served; loopback. */
    readonly metrics?: HostPort;
    /** How people sign in; absent: they do not. */
    readonly login?: LoginConfig;
    /** Types of authorization details (RFC 9396); absent when there are none. */
    readonly detailTypes?: readonly DetailType[];
    /** Clusters whose pods may join; absent when there are none. */
    readonly kubernetes?: readonly ClusterConfig[];
    /** The bank's people; absent: nobody brings any. */
    readonly people?: PeopleSettings;
    /** Where the state is kept; absent: by SQLite in the data folder. */
    readonly storage?: StorageConfig;
    /** Further processes that issue tokens; absent where the authority alone does. */
    readonly issuers?: readonly IssuerConfig[];
  };
  readonly points: readonly PointConfig[];
  readonly record: RecordConfig;
}

/** A database of a PostgreSQL; paths absolute. */
export interface StorageConfig {
  readonly kind: 'postgres';
  /** A host's name, or the folder of a Unix socket, which begins with '/'. */
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  readonly passwordFile?: string;
  /** PEM; the system's authorities if not said. */
  readonly caFile?: string;
  /** What the role is known by, if not by a password. */
  readonly certificate?: CertificateFiles;
  /** 4 to 100. */
  readonly connections: number;
}

/** A process that issues tokens beside the authority. Its SPIFFE ID is `spiffe://<trust domain>/workload/countersign/<name>`. */
export interface IssuerConfig {
  readonly name: string;
  readonly address: HostPort;
  /** What its listener shows, files of its host; absent: its SVID. */
  readonly certificate?: CertificateFiles;
}

/** A certificate chain (PEM, leaf first) and its key (PEM); both paths absolute. Whoever renews them writes the files anew. */
export interface CertificateFiles {
  readonly certificateFile: string;
  readonly keyFile: string;
}

/** One of the bank's identity providers; paths of files are absolute. */
export interface IdentityProviderConfig {
  readonly name: string;
  readonly displayName: string;
  readonly issuer: string;
  readonly origins: readonly string[];
  readonly clientId: string;
  readonly authentication:
    | {
        readonly method: 'private_key_jwt';
        readonly keyFile: string;
        readonly certificateFile?: string;
        readonly assertionAudience?: string;
      }
    | {
        readonly method: 'tls_client_auth';
        readonly keyFile: string;
        readonly certificateFile: string;
      }
    | { readonly method: 'client_secret_basic'; readonly secretFile: string };
  readonly caFile?: string;
  readonly scopes: readonly string[];
  readonly subjects: 'human' | 'customer';
  readonly person: {
    readonly claim: string;
    readonly matches: 'id' | 'externalId' | 'userName' | 'email';
    readonly scimClient?: string;
  };
  readonly acrClaim: string;
  readonly acr: Readonly<Record<string, Acr>>;
  readonly amr: Readonly<Record<string, Amr>>;
  readonly requires?: { readonly claim: string; readonly anyOf: readonly string[] };
  readonly maxAgeSeconds: number;
}

/** How people sign in, every default filled in; persons by their SPIFFE IDs. */
export interface LoginConfig {
  readonly rpId: string;
  readonly name: string;
  readonly approvalOrigins: readonly string[];
  readonly sessionTtlSeconds: number;
  readonly sessionIdleSeconds: number;
  readonly administrators: readonly string[];
  readonly recoveryApprovers: readonly string[];
  readonly hardwareKeys: {
    /** PEM, one certificate each. */
    readonly rootsPem: readonly string[];
    readonly aaguids: readonly string[];
  };
  readonly exceptions: readonly {
    readonly person: string;
    readonly allows: 'single-key' | 'unattested-key';
    readonly reason: string;
    readonly owner: string;
    readonly expiresMs: number;
  }[];
  readonly identityProviders: readonly IdentityProviderConfig[];
  /** The one that people are sent to without being asked. */
  readonly straightTo?: string;
}

/** A Kubernetes cluster whose pods may join. */
export interface ClusterConfig {
  readonly name: string;
  /** An https origin. */
  readonly server: string;
  readonly caFile: string;
  readonly tokenFile: string;
  readonly audience: string;
}

/** Shared signals: where they are served, who is told, who is listened to. */
export interface SignalsConfig {
  readonly address: HostPort;
  /** An https origin. */
  readonly url: string;
  readonly certificateFile?: string;
  readonly keyFile?: string;
  readonly receivers: readonly SignalReceiverConfig[];
  readonly transmitters: readonly SignalTransmitterConfig[];
}

/** Who is told of changes of trust. */
export interface SignalReceiverConfig {
  /** OAuth client id. */
  readonly client: string;
  readonly audience: string;
  /** Endpoints, or what they begin with. */
  readonly pushTo: readonly string[];
  readonly caFile?: string;
}

/** Who tells of changes of trust; polled when it has a `pollUrl`, and otherwise pushing. */
export interface SignalTransmitterConfig {
  readonly name: string;
  readonly owner: string;
  readonly issuer: string;
  readonly audience: string;
  readonly jwksUrl: string;
  readonly authorizationHash?: string;
  readonly pollUrl?: string;
  readonly tokenFile?: string;
  /** In place of `tokenFile`. */
  readonly client?: SignalClientConfig;
  readonly caFile?: string;
  readonly subjects: {
    readonly trustDomain: string;
    readonly kind: 'human' | 'customer';
    readonly issuer: string;
    readonly emailDomain?: string;
    /** The SCIM client whose people they are, by its names for them. */
    readonly scimClient?: string;
  };
  readonly may: readonly ('end-sessions' | 'disable' | 'device-posture')[];
}

/** Our OAuth client at a transmitter that is polled: with a key, or with a secret. */
export interface SignalClientConfig {
  readonly id: string;
  readonly tokenUrl: string;
  readonly keyFile?: string;
  readonly secretFile?: string;
  readonly scopes: readonly string[];
}

/** Who keeps the customers of the bank. */
export interface CustomersConfig {
  /** SPIFFE IDs of workloads that write them. */
  readonly sources: readonly string[];
}

/** How devices get certificates, and who tells how they are kept. */
export interface DevicesConfig {
  readonly certificateTtlSeconds: number;
  /** So long after its certificate ended a device may still renew with its key. */
  readonly absenceSeconds: number;
  readonly posture: {
    readonly maxAgeSeconds: number;
    readonly signals: {
      readonly [S in PostureSignal]?: {
        readonly maxAgeSeconds?: number;
        readonly assurance?: Assurance;
      };
    };
    readonly sources: readonly PostureSourceConfig[];
  };
  readonly webhooks?: {
    readonly address: HostPort;
    readonly certificateFile?: string;
    readonly keyFile?: string;
  };
}

/** Who tells how devices are kept. */
export interface PostureSourceConfig {
  readonly name: string;
  readonly format: 'countersign' | 'crowdstrike' | 'fleet' | 'intune' | 'jamf' | 'osquery';
  readonly assurance: Assurance;
  readonly checks?: Readonly<Record<string, PostureSignal>>;
  /** Of its webhooks. */
  readonly secretFile?: string;
}

/** The authorities that issue SVIDs; every path absolute. */
export interface CaConfig {
  /** How long one X.509 authority issues. */
  readonly lifetimeSeconds: number;
  /** How long one key signs JWT-SVIDs. */
  readonly jwtLifetimeSeconds: number;
  /** How long one key signs access tokens and ID tokens. */
  readonly tokenLifetimeSeconds: number;
  /** Who signs the X.509 authorities; each is its own root when absent. */
  readonly upstream?: UpstreamConfig;
  /** Where their keys are made; encrypted in the database when absent. */
  readonly pkcs11?: Pkcs11Config;
}

/** Where a secret is: exactly one of the two. */
export interface SecretConfig {
  readonly file?: string;
  /** The name of an environment variable. */
  readonly env?: string;
}

/** A CA above ours. */
export type UpstreamConfig =
  | {
      readonly kind: 'disk';
      readonly certificateFile: string;
      readonly keyFile: string;
      readonly rootsFile?: string;
      readonly passphrase?: SecretConfig;
    }
  | {
      readonly kind: 'vault';
      readonly address: string;
      readonly mount: string;
      readonly namespace?: string;
      readonly issuer?: string;
      readonly caFile?: string;
      readonly certificateFile?: string;
      readonly keyFile?: string;
      /** Exactly one of them. */
      readonly auth: {
        readonly token?: SecretConfig;
        readonly appRole?: {
          readonly mount?: string;
          readonly roleId: string;
          readonly secretId: SecretConfig;
        };
        readonly kubernetes?: {
          readonly mount?: string;
          readonly role: string;
          readonly tokenFile: string;
        };
        readonly certificate?: { readonly mount?: string; readonly role?: string };
      };
    }
  | { readonly kind: 'spire'; readonly server: HostPort; readonly workloadApi: string };

/** A token of an HSM. */
export interface Pkcs11Config {
  readonly module: string;
  /** One of the two at least. */
  readonly tokenLabel?: string;
  readonly tokenSerial?: string;
  readonly pin?: SecretConfig;
  readonly sessions: number;
  readonly timeoutSeconds: number;
}

/** What points need to know of the record. */
export interface ShardConfig {
  /** How long a shard of a log is. */
  readonly shard: 'month' | 'quarter' | 'year';
  /** How long a point keeps a closed shard of which the authority holds all. */
  readonly localKeep: Keep;
}

/** Who reads the record, how logs are divided and how long events are kept; every default filled in. */
export interface RecordConfig extends ShardConfig {
  /** The classes that ship, and the bank's. */
  readonly retention: readonly RetentionClass[];
  /** Over the network; nobody else does. */
  readonly readers: readonly RecordReader[];
  /** Whether every log is kept published. */
  readonly publish: boolean;
}

/** A subject that may read the record over the network. */
export interface RecordReader {
  /** A SPIFFE ID of the bank's trust domain. */
  readonly id: string;
  /** `read` is always among them. */
  readonly may: readonly RecordRight[];
}

/** `read`: questions, published logs, evidence. `resolve`: the names behind pseudonyms, too. */
export type RecordRight = 'read' | 'resolve';

/** A witness of checkpoints, run by somebody else. */
export interface WitnessConfig {
  /** `add-checkpoint` is put behind it. */
  readonly url: string;
  /** The name that its keys carry. */
  readonly name: string;
  /** One or two, in C2SP's form. */
  readonly verifierKeys: readonly string[];
}

/** One sink that events are exported to. Which of the optional keys are there goes by the kind. */
export interface ExportConfig {
  readonly name: string;
  readonly kind: 'https' | 'files' | 'syslog' | 'otlp';
  /** `https` and `otlp`. */
  readonly url?: string;
  /** `https`; absent: ndjson. */
  readonly format?: 'ndjson' | 'json';
  /** `files`. */
  readonly folder?: string;
  /** `syslog`. */
  readonly address?: HostPort;
  readonly caFile?: string;
  readonly certificateFile?: string;
  readonly keyFile?: string;
  readonly tokenFile?: string;
  readonly maxLagSeconds: number;
  readonly kinds?: readonly EventKind[];
  readonly effects?: readonly DecisionEvent['effect'][];
  readonly surfaces?: readonly string[];
  /** Fields of events that are not exported. */
  readonly omit: readonly string[];
}

/** One listener that serves the trust domain's bundle. */
export type BundleEndpointConfig = {
  readonly address: HostPort;
  readonly path: string;
} & (
  | { readonly profile: 'https_spiffe' }
  | {
      readonly profile: 'https_web';
      readonly certificateFile: string;
      readonly keyFile: string;
    }
);

/** An address to listen on. */
export interface HostPort {
  readonly host: string;
  /** 0 lets the system choose (tests). */
  readonly port: number;
}

/** One enforcement point. Its SPIFFE ID is `spiffe://<trust domain>/workload/countersign/<name>`. */
export interface PointConfig {
  readonly name: string;
  readonly kind: 'gateway' | 'sidecar' | 'wrap';
  readonly listeners: readonly ListenerConfig[];
}

/** One listening socket of a point. */
export interface ListenerConfig {
  readonly name: string;
  readonly address: HostPort;
  /**
   * `required`: TLS 1.3 only. `off`: plain HTTP, allowed only where every routed surface is in
   * shadow, for callers that speak nothing else yet.
   */
  readonly tls: 'required' | 'off';
  /** PEM of partners' certificate authorities; their certificates are mapped, never taken as SVIDs. */
  readonly clientAuthoritiesPem: readonly string[];
  /** An edge listener where nobody shows a partner's certificate: customers, people's applications, workloads with tokens. */
  readonly accessTokens?: true;
  /** Edge listeners: what they show, files of the point's host; absent: the point's SVID. */
  readonly certificate?: CertificateFiles;
  /** Makes it a listener for browsers. */
  readonly web?: WebConfig;
  readonly routes: readonly RouteConfig[];
}

/** A web application behind a listener: people sign in at the issuer, of which the point is a client. */
export interface WebConfig {
  /** Where browsers reach it: `https://ops.bank.example`. */
  readonly origin: string;
  /** The point's OAuth client id for it; nobody else's. */
  readonly clientId: string;
  readonly issuer: {
    readonly url: string;
    /** The CAs above a certificate of its own, PEM, or `system`; absent: it shows the authority's SVID. */
    readonly authoritiesPem?: 'system' | readonly string[];
  };
  readonly acr: Acr;
  /** Of its surfaces, which have one and the same. */
  readonly audience: string;
  /** What the session's tokens are for: `web`, and all that its operations ask for. */
  readonly scopes: readonly string[];
  /** How long a session lives here without a request, 600 to 43,200. */
  readonly idleSeconds: number;
  readonly userHeader?: string;
  readonly allowedOrigins: readonly string[];
}

/** Which surface, and through which other point; without `via` the surface's own upstream. */
export interface RouteConfig {
  readonly surface: string;
  /** Raw path prefix, from the surface's `basePath`; '' routes everything. */
  readonly prefix: string;
  readonly via?: { readonly point: string; readonly address: HostPort; readonly spiffeId: string };
}

/** Everything a bank wrote, checked. */
export interface Repository {
  readonly folder: string;
  readonly config: BankConfig;
  readonly surfaces: readonly Surface[];
  readonly policies: readonly {
    readonly id: string;
    readonly text: string;
    readonly file: string;
  }[];
  /** Generated and hand-written parts together. */
  readonly schema: string;
  /** What of it attributes and parents are held against: which types there are, in what, with which attributes. */
  readonly entitySchema: {
    readonly vocabulary: EntityVocabulary;
    readonly types: ReadonlyMap<string, AttributeTypes>;
  };
  readonly registrations: readonly Registration[];
  /** SPIFFE IDs of those registrations that stand in no file: they were registered by API. */
  readonly registered: ReadonlySet<string>;
  readonly entities: readonly {
    readonly uid: EntityUid;
    readonly attributes: Readonly<Record<string, unknown>>;
    readonly parents: readonly EntityUid[];
  }[];
  readonly playbooks: readonly Playbook[];
  /** The trust domains that it federates with. */
  readonly federation: readonly FederationPartner[];
  /** By what points may join without a join token, by name; no matter of the bundle, which every point reads. */
  readonly pointJoins: ReadonlyMap<string, readonly JoinRule[]>;
}

/** One thing that is wrong, so that its author can mend it without asking. */
export interface Problem {
  readonly severity: 'error' | 'warning';
  /** Relative to the repository's folder. */
  readonly file: string;
  /** From 1; absent when the file as a whole is at fault. */
  readonly line?: number;
  readonly column?: number;
  readonly found: string;
  readonly expected: string;
  readonly mend: string;
}

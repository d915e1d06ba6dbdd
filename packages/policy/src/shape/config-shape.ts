import { z } from 'zod';
import { caKeysShape, upstreamShape } from './ca-shape.ts';
import { customersShape } from './customers-shape.ts';
import { detailsShape, purposesShape } from './details-shape.ts';
import { devicesShape } from './devices-shape.ts';
import { exportShape } from './export-shape.ts';
import { issuerShape } from './issuer-shape.ts';
import { clusterShape, joinsShape } from './join-shape.ts';
import { loginShape } from './login-shape.ts';
import { peopleShape } from './people-shape.ts';
import { recordShape } from './record-shape.ts';
import { duration, filePath, hostPort, kebab, trustDomain } from './scalars.ts';
import { signalsShape } from './signals-shape.ts';
import { storageShape } from './storage-shape.ts';
import { webShape } from './web-shape.ts';

const route = z
  .strictObject({
    surface: kebab('the name of a surface', 'accounts'),
    via: kebab('the point through which it is reached', 'accounts').optional(),
  })
  .meta({ description: 'a surface, and the other point through which it is reached, if any' });

const listener = z
  .strictObject({
    name: kebab('the name of the listener in its point', 'partners'),
    address: hostPort('the address to listen on', '127.0.0.1:8443'),
    tls: z.enum(['required', 'off']).default('required').meta({
      description: 'required: TLS 1.3; off: plain HTTP, where every surface is in shadow',
    }),
    clientAuthorities: z
      .array(filePath("a PEM file of partners' certificate authorities", 'trust/partner-ca.pem'))
      .max(100)
      .default([])
      .meta({ description: 'makes this an edge listener: whose certificates partners present' }),
    accessTokens: z.boolean().default(false).meta({
      description:
        'makes this an edge listener without clientAuthorities: callers bring access tokens, bound to a DPoP key or an SVID',
    }),
    certificateFile: filePath(
      "edge and web listeners: the certificate of the web's or the bank's CA that callers are shown in place of the SVID, with its intermediates, PEM; an absolute path on the point's host; read again when it changes",
      '/run/secrets/edge.pem',
    ).optional(),
    keyFile: filePath('the key of that certificate, PEM', '/run/secrets/edge.key').optional(),
    web: webShape.optional(),
    routes: z
      .array(route)
      .min(1, 'at least one route')
      .max(1000)
      .meta({ description: 'the surfaces it serves', examples: [[{ surface: 'accounts' }]] }),
  })
  .meta({ description: 'one listening socket' });

/** One entry of `points`. */
export const pointShape = z
  .strictObject({
    kind: z.enum(['gateway', 'sidecar', 'wrap']).meta({
      description: 'gateway at the edge, sidecar beside a service, wrap around a legacy system',
      examples: ['gateway'],
    }),
    listeners: z
      .array(listener)
      .min(1, 'at least one listener')
      .max(100)
      .meta({ description: 'a list of listeners' }),
    join: joinsShape,
  })
  .meta({ description: 'an enforcement point' });

const witness = z
  .strictObject({
    url: z
      .url({ protocol: /^https?$/, error: 'an http or https URL without query or fragment' })
      .refine((url) => !/[?#@]/.test(url), 'an http or https URL without query or fragment')
      .meta({
        description: 'where the witness is asked',
        examples: ['https://witness.audit.example:7410'],
      }),
    vkey: z.union([z.string().max(4096), z.array(z.string().max(4096)).min(1).max(4)]).meta({
      description: "its verifier key, or a list: what 'countersign witness init' printed",
      examples: ['witness.audit.example/w1+df1c0a35+BIE5dw6ofRdfVqNUZsNMfszLjYqRtO43ol32D1uPybOU'],
    }),
  })
  .meta({ description: 'a witness of checkpoints, run by somebody else' });

const bundleEndpoint = z
  .strictObject({
    profile: z.enum(['https_spiffe', 'https_web']).meta({
      description:
        "how it proves itself: https_spiffe by the authority's SVID, https_web by a certificate of the web",
      examples: ['https_spiffe'],
    }),
    address: hostPort('the address to listen on', '0.0.0.0:8445'),
    path: z
      .string()
      .regex(/^\/[A-Za-z0-9._~/-]{0,200}$/, "a path that begins with '/'")
      .default('/')
      .meta({ description: 'where the bundle is', examples: ['/bundle.json'] }),
    certificateFile: filePath(
      'https_web: the certificate and its intermediates, PEM; read again when it changes',
      '/run/secrets/federation.pem',
    ).optional(),
    keyFile: filePath('https_web: its key, PEM', '/run/secrets/federation.key').optional(),
  })
  .meta({ description: "where other trust domains fetch this one's bundle; anybody may" });

const authority = z
  .strictObject({
    control: hostPort('where points and workloads reach the authority', '127.0.0.1:7401'),
    issuer: hostPort('where OAuth clients reach the issuer', '127.0.0.1:7402'),
    issuerUrl: z
      .url({ protocol: /^https$/, error: 'an https URL without query or fragment' })
      // RFC 8414 §2: an issuer identifier has no query and no fragment.
      .refine((url) => !/[?#]/.test(url), 'an https URL without query or fragment')
      .meta({
        description: 'the issuer identifier in tokens',
        examples: ['https://login.bank.example'],
      }),
    issuerCertificateFile: filePath(
      "the certificate of the web's or the bank's CA that clients of the issuer are shown, with its intermediates, PEM; by default the authority's SVID; read again when it changes",
      '/run/secrets/issuer.pem',
    ).optional(),
    issuerKeyFile: filePath(
      'the key of that certificate, PEM',
      '/run/secrets/issuer.key',
    ).optional(),
    issuerAuthorities: z
      .array(filePath("a PEM file of the CAs above the issuer's certificate", 'trust/web-ca.pem'))
      .max(20)
      .default([])
      .meta({
        description:
          'by which points know the issuer, where it shows issuerCertificateFile; by default the CAs that Node comes with',
      }),
    svidTtl: duration("the life of a workload's certificate", {
      min: '10s',
      max: '24h',
      example: '1h',
    }).prefault('1h'),
    ca: z
      .strictObject({
        lifetime: duration('how long one X.509 authority issues', {
          min: '30s',
          max: '8760h',
          example: '24h',
        }).prefault('24h'),
        jwtLifetime: duration('how long one key signs JWT-SVIDs', {
          min: '30s',
          max: '8760h',
          example: '24h',
        }).prefault('24h'),
        tokenLifetime: duration('how long one key signs access tokens and ID tokens', {
          min: '30s',
          max: '8760h',
          example: '24h',
        }).prefault('24h'),
        upstream: upstreamShape.optional(),
        keys: caKeysShape.optional(),
      })
      .prefault({})
      .meta({
        description: 'the authorities that issue SVIDs and sign tokens, and how they rotate',
      }),
    accessTokenTtl: duration('the life of an access token', {
      min: '1s',
      max: '5m',
      example: '5m',
    }).prefault('5m'),
    passphraseFile: filePath(
      'the passphrase of the keys at rest',
      '/run/secrets/passphrase',
    ).optional(),
    historyFile: filePath('past events for the risk baseline, NDJSON', 'history.ndjson').optional(),
    witnesses: z
      .array(witness)
      .max(32)
      .default([])
      .meta({ description: "who cosigns the checkpoints of the authority's log of checkpoints" }),
    witnessQuorum: z
      .int()
      .min(1)
      .max(32)
      .optional()
      .meta({
        description: 'how many witnesses must cosign, by default more than half',
        examples: [2],
      }),
    exports: z
      .array(exportShape)
      .max(20, 'at most 20 exports')
      .default([])
      .meta({ description: 'where events are exported to' }),
    login: loginShape.optional(),
    purposes: purposesShape.optional(),
    authorizationDetails: detailsShape.optional(),
    bundleEndpoints: z.array(bundleEndpoint).max(4, 'at most 4 bundle endpoints').default([]).meta({
      description: "where the trust domain's bundle is served to partners (SPIFFE Federation)",
    }),
    kubernetes: z
      .array(clusterShape)
      .max(50, 'at most 50 clusters')
      .default([])
      .meta({ description: 'clusters whose pods may join with their service account token' }),
    signals: signalsShape.optional(),
    customers: customersShape.optional(),
    devices: devicesShape.optional(),
    metrics: hostPort(
      'where metrics are served, on loopback: GET /metrics',
      '127.0.0.1:9464',
    ).optional(),
    people: peopleShape.optional(),
    storage: storageShape.optional(),
    issuers: z.array(issuerShape).max(16, 'at most 16 issuers').default([]).meta({
      description: "further processes that issue tokens, each run by 'countersign issuer'",
    }),
  })
  .meta({ description: 'the authority: identities, tokens, policy' });

/** `countersign.yaml`. */
export const configShape = z
  .strictObject({
    trustDomain,
    authority,
    record: recordShape.optional(),
    points: z
      .record(z.string(), pointShape)
      .meta({ description: 'enforcement points by name', examples: [{}] }),
  })
  .meta({ title: 'countersign.yaml', description: 'trust domain, authority, enforcement points' });

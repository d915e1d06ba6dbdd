import { Buffer } from 'node:buffer';
import { type AnyMessageType, FIELD_TYPE, field, message } from '../protobuf/message.ts';
import { WireWriter } from '../protobuf/wire.ts';
import type { GrpcService } from './grpc-server.ts';
import { GRPC_STATUS } from './grpc-status.ts';

// grpc/reflection/v1/reflection.proto and its older twin v1alpha; descriptors by google/protobuf/descriptor.proto.

const fileResponse = message('FileDescriptorResponse', {
  files: field.byteStrings(1, 'file_descriptor_proto'),
});
const serviceResponse = message('ServiceResponse', { name: field.string(1, 'name') });
const listResponse = message('ListServiceResponse', {
  services: field.messages(1, 'service', () => serviceResponse),
});
const errorResponse = message('ErrorResponse', {
  code: field.int32(1, 'error_code'),
  message: field.string(2, 'error_message'),
});

const requestOf = (name: string) =>
  message(name, {
    host: field.string(1, 'host'),
    fileByFilename: field.optionalString(3, 'file_by_filename'),
    fileContainingSymbol: field.optionalString(4, 'file_containing_symbol'),
    listServices: field.optionalString(7, 'list_services'),
  });
const responseOf = (name: string) =>
  message(name, {
    validHost: field.string(1, 'valid_host'),
    file: field.message(4, 'file_descriptor_response', () => fileResponse),
    list: field.message(6, 'list_services_response', () => listResponse),
    error: field.message(7, 'error_response', () => errorResponse),
  });

interface File {
  readonly name: string;
  readonly symbols: ReadonlySet<string>;
  readonly descriptor: Uint8Array;
}

/**
 * gRPC server reflection for services whose messages are all in the tables here: what a person needs to look around
 * with a tool like grpcurl.
 */
export function reflectionServices(services: readonly GrpcService[]): GrpcService[] {
  const files = [...services.map(fileOf), STRUCT_FILE];
  const names = services.map(({ name }) => ({ name }));
  return ['grpc.reflection.v1', 'grpc.reflection.v1alpha'].map((pkg) => ({
    name: `${pkg}.ServerReflection`,
    methods: {
      ServerReflectionInfo: {
        request: requestOf(`${pkg}.ServerReflectionRequest`),
        response: responseOf(`${pkg}.ServerReflectionResponse`),
        isClientStream: true,
        isServerStream: true,
        async *handle(requests) {
          for await (const request of requests) {
            const { host, fileByFilename, fileContainingSymbol, listServices } = request;
            const found = files.find(
              (file) => file.name === fileByFilename || file.symbols.has(fileContainingSymbol),
            );
            if (listServices !== undefined) yield { validHost: host, list: { services: names } };
            else if (found) yield { validHost: host, file: { files: [found.descriptor] } };
            else {
              const error = { code: GRPC_STATUS.notFound, message: 'not described here' };
              yield { validHost: host, error };
            }
          }
        },
      },
    },
  }));
}

const STRUCT_FILE_NAME = 'google/protobuf/struct.proto';

/** Writes one FileDescriptorProto with a service and every message that it reaches. */
function fileOf({ name, methods }: GrpcService): File {
  const messages = new Map<string, AnyMessageType>();
  for (const { request, response } of Object.values(methods)) {
    for (const type of [request, response]) collect(type, messages);
  }
  const file = new WireWriter();
  const fileName = `${name}.proto`;
  file.text(1, fileName);
  file.text(3, STRUCT_FILE_NAME);
  for (const type of messages.values()) file.bytes(4, messageDescriptor(type));
  const service = new WireWriter();
  service.text(1, name);
  for (const [methodName, method] of Object.entries(methods)) {
    const descriptor = new WireWriter();
    descriptor.text(1, methodName);
    descriptor.text(2, `.${method.request.name}`);
    descriptor.text(3, `.${method.response.name}`);
    if (method.isClientStream) descriptor.varint(5, 1);
    if (method.isServerStream) descriptor.varint(6, 1);
    service.bytes(2, descriptor.finish());
  }
  file.bytes(6, service.finish());
  file.text(12, 'proto3');
  const symbols = new Set([
    name,
    ...Object.keys(methods).map((methodName) => `${name}.${methodName}`),
    ...messages.keys(),
  ]);
  return { name: fileName, symbols, descriptor: file.finish() };
}

function collect(type: AnyMessageType, into: Map<string, AnyMessageType>): void {
  // Another file's.
  if (type.name.startsWith('google.protobuf.') || into.has(type.name)) return;
  into.set(type.name, type);
  for (const { message: inner, label } of type.fields) {
    // Entries of maps are nested in their message.
    if (inner && label !== 'map') collect(inner(), into);
  }
}

function messageDescriptor(type: AnyMessageType): Uint8Array {
  const descriptor = new WireWriter();
  descriptor.text(1, type.name.slice(type.name.lastIndexOf('.') + 1));
  for (const each of type.fields) {
    const writer = new WireWriter();
    writer.text(1, each.name);
    writer.varint(3, each.number);
    writer.varint(4, each.label === 'single' ? 1 : 3);
    writer.varint(5, FIELD_TYPE[each.type]);
    if (each.message) writer.text(6, `.${each.message().name}`);
    descriptor.bytes(2, writer.finish());
  }
  for (const { label, message: inner } of type.fields) {
    if (label !== 'map' || !inner) continue;
    const entry = new WireWriter();
    entry.bytes(7, MAP_ENTRY);
    descriptor.bytes(3, Buffer.concat([messageDescriptor(inner()), entry.finish()]));
  }
  return descriptor.finish();
}

/** MessageOptions.map_entry = true. */
const MAP_ENTRY = Uint8Array.of(0x38, 0x01);

/** google/protobuf/struct.proto, which the Workload API refers to. */
const STRUCT_FILE: File = {
  name: STRUCT_FILE_NAME,
  symbols: new Set(
    ['Struct', 'Value', 'ListValue', 'NullValue'].map((n) => `google.protobuf.${n}`),
  ),
  descriptor: structDescriptor(),
};

function structDescriptor(): Uint8Array {
  const valueField = (name: string, number: number, type: number, typeName?: string) => {
    const writer = new WireWriter();
    writer.text(1, name);
    writer.varint(3, number);
    writer.varint(4, 1);
    writer.varint(5, type);
    if (typeName) writer.text(6, `.google.protobuf.${typeName}`);
    return writer;
  };
  const DOUBLE = 1;
  const ENUM = 14;
  const value = new WireWriter();
  value.text(1, 'Value');
  for (const [name, number, type, typeName] of [
    ['null_value', 1, ENUM, 'NullValue'],
    ['number_value', 2, DOUBLE],
    ['string_value', 3, FIELD_TYPE.string],
    ['bool_value', 4, FIELD_TYPE.bool],
    ['struct_value', 5, FIELD_TYPE.message, 'Struct'],
    ['list_value', 6, FIELD_TYPE.message, 'ListValue'],
  ] as const) {
    const writer = valueField(name, number, type, typeName);
    // oneof_index: of the first and only oneof.
    writer.varint(9, 0);
    value.bytes(2, writer.finish());
  }
  const oneof = new WireWriter();
  oneof.text(1, 'kind');
  value.bytes(8, oneof.finish());
  const anyValue = message('google.protobuf.Value', {});
  const struct = message('google.protobuf.Struct', {
    fields: field.byText(
      1,
      'fields',
      'google.protobuf.Struct.FieldsEntry',
      field.message(2, 'value', () => anyValue),
    ),
  });
  const list = message('google.protobuf.ListValue', {
    values: field.messages(1, 'values', () => anyValue),
  });
  const nothing = new WireWriter();
  nothing.text(1, 'NULL_VALUE');
  nothing.varint(2, 0);
  const nullValue = new WireWriter();
  nullValue.text(1, 'NullValue');
  nullValue.bytes(2, nothing.finish());
  const file = new WireWriter();
  file.text(1, STRUCT_FILE_NAME);
  file.text(2, 'google.protobuf');
  file.bytes(4, messageDescriptor(struct));
  file.bytes(4, value.finish());
  file.bytes(4, messageDescriptor(list));
  file.bytes(5, nullValue.finish());
  file.text(12, 'proto3');
  return file.finish();
}

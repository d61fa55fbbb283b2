/** Known networks, as `models`. Their state is named as in torchvision, so that weights from there load. */
export * from './alexnet';
export * from './cifar-resnet';
export * from './densenet';
export * from './googlenet';
export * from './lenet';
export * from './resnet';
export * from './vgg';

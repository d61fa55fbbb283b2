{
  # A thin adapter, so that prebuildify works: the build itself is CMakeLists.txt.
  'targets': [
    {
      'target_name': 'hadal',
      'type': 'none',
      'actions': [
        {
          'action_name': 'cmake',
          'inputs': [],
          'outputs': ['<(PRODUCT_DIR)/hadal.node'],
          'action': ['node', 'scripts/build-native.mjs', '--glibc', '2.28', '--out', '<(PRODUCT_DIR)', '--arch', '<(target_arch)'],
        },
      ],
    },
  ],
}

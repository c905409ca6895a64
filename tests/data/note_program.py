# The code blocks of a student's note about CNNs in Keras, as they stand there: only the import is another.
# tests/test_note.py runs them one by one; `# %%` begins a block.

# %% import
import kyeo as tf

# %% convolution
tf.keras.layers.Conv2D(filters=3, kernel_size=3, strides=1, padding='same', activation='relu')

# %% dense
tf.keras.layers.Dense(32, activation='relu')

# %% dropout
dropout = tf.keras.layers.Dropout(0.5)

# %% build model
from kyeo.keras import layers
input_shape  = (28,28,1)
num_classes = 10

inputs = layers.Input(shape=input_shape)

#feature extraction 
model = layers.Conv2D(32, 3, padding ='same')(inputs)
model = layers.Activation('relu')(model)
model = layers.Conv2D(32, 3, padding ='same')(model)
model = layers.Activation('relu')(model)
model = layers.MaxPool2D(2,2)(model)
model = layers.Activation('relu')(model)
model = layers.Dropout(0.5)(model)

model = layers.Conv2D(64, 3, padding ='same')(model)
model = layers.Activation('relu')(model)
model = layers.MaxPool2D(2,2)(model)
model = layers.Activation('relu')(model)
model = layers.Conv2D(128, 3, padding ='same')(model)
model = layers.Activation('relu')(model)
model = layers.MaxPool2D(2,2)(model)
model = layers.Activation('relu')(model)
model = layers.Dropout(0.5)(model)

# fully connected
model = layers.Flatten()(model)
model = layers.Dense(512)(model)
model = layers.Activation('relu')(model)
model = layers.Dropout(0.5)(model)
model = layers.Dense(num_classes)(model)
model = layers.Activation('softmax')(model)

model = tf.keras.Model(inputs=inputs, outputs=model, name='basic_cnn')

# %% losses
tf.keras.losses.sparse_categorical_crossentropy
tf.keras.losses.categorical_crossentropy
tf.keras.losses.binary_crossentropy

# %% optimizers
tf.keras.optimizers.SGD()
tf.keras.optimizers.RMSprop()
tf.keras.optimizers.Adam()

# %% metrics
tf.keras.metrics.Accuracy()
tf.keras.metrics.Precision()
tf.keras.metrics.Recall()

# %% compile
model.compile(optimizer=tf.keras.optimizers.Adam(),
              loss ='sparse_categorical_crossentropy',
              metrics = [tf.keras.metrics.Accuracy()])

# %% train
model.fit(x_train, y_train, 
          batch_size=32, 
          shuffle=True, 
          epochs=50) 

"""Train a network on Fashion-MNIST. Trained on all images it must reach 88 % on the test images.

python examples/quickstart.py [NUMBER OF TRAINING IMAGES]
"""

import sys

import minigrad
from minigrad import data, models, nn, optim
from minigrad.train import EarlyStopping, Trainer

TARGET = 0.88

minigrad.manual_seed(0)
train, test = data.fashion_mnist()
if len(sys.argv) > 1:
    train = train.subset(slice(int(sys.argv[1])))
train, validation = data.split(train, validation=0.1)

model = models.mlp(784, [512, 256], 10, batch_norm=True, dropout=0.2)
adam = optim.Adam(model.parameters(), lr=1e-3, weight_decay=1e-4)
best = EarlyStopping("val_accuracy")
trainer = Trainer(model, nn.CrossEntropyLoss(label_smoothing=0.1), adam, callbacks=[best])
trainer.fit(train, validation, epochs=10, batch_size=64)

accuracy = trainer.evaluate(test)["accuracy"]
print(f"test accuracy {accuracy:.2%}")
assert len(sys.argv) > 1 or accuracy >= TARGET
